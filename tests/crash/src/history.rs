//! What was done to a file system, and what may be left of it after a cut.

use anyhow::{Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// A file, however it is called.
pub type FileId = usize;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A file.
    File(FileId),
}

/// All paths, each without a leading `/`.
pub type Tree = BTreeMap<String, Node>;

/// What was found at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A directory.
    Directory,
    /// A file with these bytes.
    File(Vec<u8>),
}

/// What an acknowledged sync promised.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// All names, and the bytes of this file.
    File(FileId),
    /// All names.
    Names,
    /// Everything.
    All,
}

#[derive(Debug)]
struct Operation {
    /// Steps of the log when it began.
    begin: usize,
    /// The tree when it had been done.
    tree: Rc<Tree>,
}

#[derive(Debug)]
struct Promise {
    /// Steps of the log when it was made.
    end: usize,
    /// The operation that made it.
    operation: usize,
    scope: Scope,
}

/// Operations in order; number 0 is the empty file system, which is durable.
#[derive(Debug)]
pub struct History {
    operations: Vec<Operation>,
    promises: Vec<Promise>,
    /// Of each file: the operation, and the bytes after it.
    versions: Vec<Vec<(usize, Rc<Vec<u8>>)>>,
}

impl History {
    /// Nothing was done yet.
    pub fn new(tree: Tree) -> Self {
        History {
            operations: vec![Operation {
                begin: 0,
                tree: Rc::new(tree),
            }],
            promises: Vec::new(),
            versions: Vec::new(),
        }
    }

    /// The tree as it is now.
    pub fn tree(&self) -> &Tree {
        &self.operations[self.operations.len() - 1].tree
    }

    /// The bytes of a file as they are now.
    pub fn bytes(&self, file: FileId) -> &Rc<Vec<u8>> {
        let versions = &self.versions[file];
        &versions[versions.len() - 1].1
    }

    /// A file that is new with the next operation.
    pub fn new_file(&mut self) -> FileId {
        self.versions
            .push(vec![(self.operations.len(), Rc::default())]);
        self.versions.len() - 1
    }

    /// The next operation gives a file these bytes.
    pub fn write(&mut self, file: FileId, bytes: Vec<u8>) {
        let operation = self.operations.len();
        self.versions[file].push((operation, Rc::new(bytes)));
    }

    /// An operation was done that began at this step and left this tree; `None`
    /// leaves it as it was.
    pub fn done(&mut self, begin: usize, tree: Option<Tree>) {
        let tree = match tree {
            Some(tree) => Rc::new(tree),
            None => self.operations[self.operations.len() - 1].tree.clone(),
        };
        self.operations.push(Operation { begin, tree });
    }

    /// What the last operation promised when the log had so many steps.
    pub fn promise(&mut self, end: usize, scope: Scope) {
        self.promises.push(Promise {
            end,
            operation: self.operations.len() - 1,
            scope,
        });
    }

    /// How much had been promised after so many steps of the log.
    pub fn promises(&self, steps: usize) -> usize {
        let made = self
            .promises
            .iter()
            .take_while(|promise| promise.end <= steps);
        made.count()
    }

    /// Whether a file system that was cut off after so many steps may look so.
    pub fn judge(&self, steps: usize, found: &BTreeMap<String, Found>) -> Result<()> {
        let promised = self.promised(steps, |_| true);
        let begun = self.operations.iter().rposition(|op| op.begin <= steps);
        let last = begun.unwrap_or(0);
        let shape = |tree: &Tree| {
            tree.len() == found.len()
                && tree
                    .iter()
                    .zip(found)
                    .all(|((path, node), (other, found))| {
                        path == other
                            && matches!(node, Node::Directory) == matches!(found, Found::Directory)
                    })
        };
        // Trees can look the same and have other files under the same names, so
        // each that fits is tried; the first complaint is the one to tell.
        let mut complaint = None;
        for operation in &self.operations[promised..=last] {
            if !shape(&operation.tree) {
                continue;
            }
            match self.judge_bytes(steps, last, &operation.tree, found) {
                Ok(()) => return Ok(()),
                Err(error) => complaint = complaint.or(Some(error)),
            }
        }
        match complaint {
            Some(error) => Err(error),
            None => {
                let found: Vec<_> = found.keys().collect();
                let should: Vec<_> = self.operations[promised].tree.keys().collect();
                bail!(
                    "names {found:?} are those after none of operations {promised} to {last}; \
                     promised were {should:?}"
                )
            }
        }
    }

    /// Whether a file system on which nothing was cut off may look so.
    pub fn judge_now(&self, found: &BTreeMap<String, Found>) -> Result<()> {
        let node = |node: &Node| match node {
            Node::Directory => Found::Directory,
            Node::File(file) => Found::File(self.bytes(*file).to_vec()),
        };
        let should = self.tree().iter();
        let should: BTreeMap<_, _> = should.map(|(path, n)| (path.clone(), node(n))).collect();
        if *found == should {
            return Ok(());
        }
        let differs = |path: &&String| found.get(*path) != should.get(*path);
        let all: BTreeSet<_> = found.keys().chain(should.keys()).collect();
        let paths: Vec<_> = all.into_iter().filter(differs).collect();
        bail!(
            "after {} operations {paths:?} are wrong",
            self.operations.len() - 1
        )
    }

    /// The last operation that a promise of such a scope covers.
    fn promised(&self, steps: usize, covers: impl Fn(Scope) -> bool) -> usize {
        let promises = self.promises.iter().rev();
        let mut kept = promises.filter(|p| p.end <= steps && covers(p.scope));
        kept.next().map_or(0, |promise| promise.operation)
    }

    fn judge_bytes(
        &self,
        steps: usize,
        last: usize,
        tree: &Tree,
        found: &BTreeMap<String, Found>,
    ) -> Result<()> {
        for (path, node) in tree {
            let (Node::File(file), Some(Found::File(bytes))) = (node, found.get(path)) else {
                continue;
            };
            let synced = self.promised(steps, |scope| match scope {
                Scope::All => true,
                Scope::File(other) => other == *file,
                Scope::Names => false,
            });
            // The version that was promised, and all later ones.
            let versions = &self.versions[*file];
            let first = versions.iter().rposition(|(op, _)| *op <= synced);
            let versions: Vec<&[u8]> = versions[first.unwrap_or(0)..]
                .iter()
                .filter(|(operation, _)| *operation <= last)
                .map(|(_, bytes)| &bytes[..])
                .collect();
            judge_file(&versions, bytes).map_err(|error| error.context(format!("/{path}")))?;
        }
        Ok(())
    }
}

/// Whether these bytes are of these versions: each byte of some, or zero where
/// one of them had none.
fn judge_file(versions: &[&[u8]], bytes: &[u8]) -> Result<()> {
    let sizes = versions.iter().map(|version| version.len());
    let shortest = sizes.clone().min().unwrap_or(0);
    let longest = sizes.max().unwrap_or(0);
    if bytes.len() < shortest || bytes.len() > longest {
        bail!("{} bytes, not {shortest} to {longest}", bytes.len());
    }
    for (position, byte) in bytes.iter().enumerate() {
        let is_some = versions
            .iter()
            .any(|version| version.get(position) == Some(byte));
        let is_hole = *byte == 0 && position >= shortest;
        if !is_some && !is_hole {
            let written: Vec<_> = versions.iter().map(|v| v.get(position)).collect();
            bail!("byte {position} is {byte:#x}, of {written:x?}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_of_its_versions() {
        let versions: [&[u8]; 2] = [b"old", b"newer"];
        for good in [&b"old"[..], b"newer", b"nld", b"new\0r", b"newe"] {
            assert!(judge_file(&versions, good).is_ok(), "{good:?}");
        }
        for bad in [&b"ol"[..], b"newest", b"xld", b"\0ld", b"newerr"] {
            assert!(judge_file(&versions, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_those_of_a_moment_not_before_the_promise() {
        let mut history = History::new(Tree::new());
        for (begin, name) in [(0, "a"), (2, "b"), (4, "c")] {
            let file = history.new_file();
            let mut tree = history.tree().clone();
            tree.insert(name.into(), Node::File(file));
            history.done(begin, Some(tree));
            if name == "b" {
                history.promise(4, Scope::Names);
            }
        }
        let found = |names: &[&str]| {
            let empty = |name: &&str| (name.to_string(), Found::File(Vec::new()));
            names.iter().map(empty).collect()
        };
        assert!(history.judge(3, &found(&["a"])).is_ok());
        assert!(history.judge(5, &found(&["a"])).is_err());
        assert!(history.judge(5, &found(&["a", "b"])).is_ok());
        assert!(history.judge(5, &found(&["a", "b", "c"])).is_ok());
        assert!(history.judge(5, &found(&["a", "c"])).is_err());
        assert!(history.judge(3, &found(&["a", "b", "c"])).is_err());
    }
}
