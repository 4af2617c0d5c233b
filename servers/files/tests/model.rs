//! The RAM file system against a model that is plainly right.

mod support;

use libipc::interfaces::{FileAccess::ReadWrite, FileError, FileKind};
use proptest::{prelude::*, test_runner::FileFailurePersistence};
use std::collections::BTreeMap;
use support::*;

/// Paths, each with the bytes of a file, or none for a
/// directory.
type Model = BTreeMap<Vec<&'static str>, Option<Vec<u8>>>;

#[derive(Clone, Debug)]
enum Step {
    Create(Vec<&'static str>, bool),
    Remove(Vec<&'static str>),
    Rename(Vec<&'static str>, Vec<&'static str>),
    Write(Vec<&'static str>, usize, Vec<u8>),
    Resize(Vec<&'static str>, usize),
}

fn path() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..3)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (path(), any::<bool>()).prop_map(|(path, file)| Step::Create(path, file)),
        path().prop_map(Step::Remove),
        (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        (
            path(),
            0_usize..9000,
            proptest::collection::vec(any::<u8>(), 0..5000)
        )
            .prop_map(|(path, position, bytes)| Step::Write(path, position, bytes)),
        (path(), 0_usize..9000).prop_map(|(path, size)| Step::Resize(path, size)),
    ]
}

/// Does the step in the model; the error that is to be expected.
fn model(model: &mut Model, step: &Step) -> Result<(), FileError> {
    let check_parent = |model: &Model, path: &[&'static str]| match path {
        [parent, _] => match model.get(&[*parent][..]) {
            None => Err(FileError::NotFound),
            Some(Some(_)) => Err(FileError::NotDirectory),
            Some(None) => Ok(()),
        },
        _ => Ok(()),
    };
    let is_empty = |model: &Model, path: &Vec<&'static str>| {
        !model
            .keys()
            .any(|key| key.len() > path.len() && key.starts_with(path))
    };
    match step {
        Step::Create(path, file) => {
            check_parent(model, path)?;
            if model.contains_key(path) {
                return Err(FileError::Exists);
            }
            model.insert(path.clone(), file.then(Vec::new));
        }
        Step::Remove(path) => {
            check_parent(model, path)?;
            let node = model.get(path).ok_or(FileError::NotFound)?;
            if node.is_none() && !is_empty(model, path) {
                return Err(FileError::NotEmpty);
            }
            model.remove(path);
        }
        Step::Rename(from, to) => {
            check_parent(model, from)?;
            check_parent(model, to)?;
            let node = model.get(from).ok_or(FileError::NotFound)?.clone();
            if node.is_none() && to.len() > from.len() && to.starts_with(from) {
                return Err(FileError::Loop);
            }
            if from == to {
                return Ok(());
            }
            match (node.is_none(), model.get(to)) {
                (false, Some(None)) => return Err(FileError::IsDirectory),
                (true, Some(Some(_))) => return Err(FileError::NotDirectory),
                (true, Some(None)) if !is_empty(model, to) => return Err(FileError::NotEmpty),
                _ => {}
            }
            let moved: Vec<_> = model
                .keys()
                .filter(|key| key.starts_with(from))
                .cloned()
                .collect();
            model.remove(to);
            for key in moved {
                let node = model.remove(&key).unwrap();
                let target = to.iter().chain(&key[from.len()..]).copied().collect();
                model.insert(target, node);
            }
        }
        Step::Write(path, position, bytes) => {
            let data = file(model, path)?;
            let end = position + bytes.len();
            if !bytes.is_empty() {
                data.resize(data.len().max(end), 0);
                data[*position..end].copy_from_slice(bytes);
            }
        }
        Step::Resize(path, size) => file(model, path)?.resize(*size, 0),
    }
    Ok(())
}

fn file<'m>(model: &'m mut Model, path: &[&'static str]) -> Result<&'m mut Vec<u8>, FileError> {
    if let [parent, _] = path {
        match model.get(&[*parent][..]) {
            None => return Err(FileError::NotFound),
            Some(Some(_)) => return Err(FileError::NotDirectory),
            Some(None) => {}
        }
    }
    match model.get_mut(path) {
        None => Err(FileError::NotFound),
        Some(None) => Err(FileError::IsDirectory),
        Some(Some(data)) => Ok(data),
    }
}

/// The badge of the directory that a path's last name is in, and that name.
fn walk<'p>(
    service: &mut TestService,
    root: u64,
    path: &[&'p str],
) -> Result<(u64, &'p str), FileError> {
    let (name, parents) = path.split_last().expect("a path has a name");
    let mut directory = root;
    for parent in parents {
        let opened = service.open(directory, parent, FileKind::Directory, ReadWrite);
        if directory != root {
            service.closed(directory);
        }
        directory = opened?;
    }
    Ok((directory, name))
}

/// Does the step for real, and closes all that it opened.
fn real(service: &mut TestService, root: u64, step: &Step) -> Result<(), FileError> {
    let mut opened = Vec::new();
    let mut run = || -> Result<(), FileError> {
        let (path, other) = match step {
            Step::Create(path, _) | Step::Remove(path) => (path, None),
            Step::Rename(from, to) => (from, Some(to)),
            Step::Write(path, ..) | Step::Resize(path, _) => (path, None),
        };
        let (directory, name) = walk(service, root, path)?;
        opened.push(directory);
        match step {
            Step::Create(_, file) => {
                let kind = if *file {
                    FileKind::File
                } else {
                    FileKind::Directory
                };
                opened.push(service.create(directory, name, kind, 0)?);
            }
            Step::Remove(_) => service.remove(directory, name, 0)?,
            Step::Rename(..) => {
                let (into, to) = walk(service, root, other.expect("a rename has two paths"))?;
                opened.push(into);
                service.rename(directory, name, into, to, 0)?;
            }
            Step::Write(_, position, bytes) => {
                let file = service.open(directory, name, FileKind::File, ReadWrite)?;
                opened.push(file);
                let written = write(service, file, Some(*position as u64), bytes)?;
                assert_eq!(written, bytes.len() as u64);
            }
            Step::Resize(_, size) => {
                let file = service.open(directory, name, FileKind::File, ReadWrite)?;
                opened.push(file);
                service.set_size(file, *size as u64, 0)?;
            }
        }
        Ok(())
    };
    let outcome = run();
    for badge in opened.into_iter().filter(|&badge| badge != root) {
        service.closed(badge);
    }
    outcome
}

/// Everything below a directory.
fn contents(service: &mut TestService, directory: u64, above: &[&'static str], into: &mut Model) {
    let known = ["a", "b", "c"];
    for name in names(service, directory, 300) {
        let name = known.into_iter().find(|known| *known == name).unwrap();
        let path: Vec<_> = above.iter().copied().chain([name]).collect();
        if let Ok(file) = service.open(directory, name, FileKind::File, ReadWrite) {
            let bytes = read(service, file, 0, 1 << 20).unwrap();
            into.insert(path, Some(bytes));
            service.closed(file);
        } else {
            let below = service
                .open(directory, name, FileKind::Directory, ReadWrite)
                .unwrap();
            into.insert(path.clone(), None);
            contents(service, below, &path, into);
            service.closed(below);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn behaves_as_the_model(steps in proptest::collection::vec(step(), 1..40)) {
        let mut service = service(ROOMY);
        let root = tmp(&mut service, SHELL);
        let mut expected = Model::new();
        for step in &steps {
            let should = model(&mut expected, step);
            let does = real(&mut service, root, step);
            prop_assert_eq!(does, should, "{:?}", step);
        }
        let mut found = Model::new();
        contents(&mut service, root, &[], &mut found);
        prop_assert_eq!(&found, &expected);
        // Files that are gone cost nothing.
        let usage = service.usage(SHELL).unwrap();
        prop_assert_eq!(usage.client_files, expected.len() as u64);
        prop_assert_eq!(usage.client_open, 1);
        let paths: Vec<_> = expected.keys().rev().cloned().collect();
        for path in paths {
            prop_assert_eq!(real(&mut service, root, &Step::Remove(path)), Ok(()));
        }
        prop_assert_eq!(service.usage(SHELL).unwrap().client_bytes, 0);
    }
}
