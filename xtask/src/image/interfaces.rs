//! Finds every declared interface, for the table of names and for `expand`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use libipc_expand::{Side, hash, model::Interface};
use proc_macro2::TokenStream;
use syn::{Item, Meta};

/// Folders in which interfaces are declared.
const FOLDERS: &[&str] = &[
    "libipc/abi/src/objects",
    "libipc/src/interfaces",
    "servers",
    "tests",
    "user",
];

/// A trait with the attribute `interface`.
pub struct Declaration {
    /// The trait's name.
    pub name: String,
    /// The file that declares it.
    pub file: PathBuf,
    /// Which sides the macro emits there.
    pub side: Side,
    /// What stands in the attribute's parentheses.
    pub arguments: TokenStream,
    /// The trait without the attribute.
    pub item: TokenStream,
}

/// All interfaces of the project at `root` and in `outside` folders, by name.
pub fn declarations(root: &Path, outside: &[PathBuf]) -> Result<Vec<Declaration>> {
    let mut files = Vec::new();
    for folder in FOLDERS
        .iter()
        .map(|folder| root.join(folder))
        .chain(outside.iter().cloned())
    {
        rust_files(&folder, &mut files);
    }
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        // Parsing is slow next to looking for the one word that matters.
        if text.contains("interface]") || text.contains("interface(") {
            let side = match file.starts_with(root.join("libipc/abi")) {
                true => Side::Kernel,
                false => Side::Both,
            };
            found.extend(in_text(&text, &file, side));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The interfaces declared in a file; one that does not parse has none, and the
/// compiler says why.
fn in_text(text: &str, file: &Path, side: Side) -> Vec<Declaration> {
    let Ok(parsed) = syn::parse_file(text) else {
        return Vec::new();
    };
    let traits = parsed.items.into_iter().filter_map(|item| match item {
        Item::Trait(item) => Some(item),
        _ => None,
    });
    let declaration = |mut item: syn::ItemTrait| {
        let is_interface = |attribute: &syn::Attribute| {
            attribute
                .path()
                .segments
                .last()
                .is_some_and(|last| last.ident == "interface")
        };
        let attribute = item.attrs.remove(item.attrs.iter().position(is_interface)?);
        let arguments = match attribute.meta {
            Meta::List(list) => list.tokens,
            Meta::Path(_) | Meta::NameValue(_) => TokenStream::new(),
        };
        Some(Declaration {
            name: item.ident.to_string(),
            file: file.to_path_buf(),
            side,
            arguments,
            item: quote::ToTokens::into_token_stream(item),
        })
    };
    traits.filter_map(declaration).collect()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The archive's table: a line for each version of each interface, with its hash
/// and its operations by number.
pub fn table(root: &Path, outside: &[PathBuf]) -> Result<String> {
    let mut text = String::new();
    for declaration in declarations(root, outside)? {
        let interface = Interface::parse(declaration.arguments, declaration.item)
            .with_context(|| format!("{}: {}", declaration.file.display(), declaration.name))?;
        for version in (1..=interface.version()).rev() {
            let hash = hash::version(&interface, version);
            write!(text, "{hash:08x} {}", interface.name)?;
            for operation in interface.operations.iter().filter(|op| op.since <= version) {
                write!(text, " {}:{}", operation.number, operation.name)?;
            }
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::root;

    #[test]
    fn the_kernel_objects_and_the_servers_are_found() {
        let table = table(root(), &[]).unwrap();
        let parsed = tessera_archive::Interfaces::new(table.as_bytes()).unwrap();
        for (name, operation) in [("System", "shutdown"), ("Log", "append")] {
            let line = table
                .lines()
                .find(|line| line.split(' ').nth(1) == Some(name))
                .unwrap();
            let hash = u32::from_str_radix(&line[..8], 16).unwrap();
            assert_eq!(parsed.interface(hash), Some(name));
            assert_eq!(parsed.operation(hash, 0), Some(operation));
        }
    }

    #[test]
    fn only_traits_with_the_attribute_count() {
        let text = "#[interface(object)] pub trait A { #[op(0)] fn a(&mut self) -> Result<(), E>; }\n\
                    #[libipc::interface] trait B {}\n trait C {}\n struct D;";
        let found = in_text(text, Path::new("x.rs"), Side::Both);
        let names: Vec<_> = found
            .iter()
            .map(|declaration| declaration.name.as_str())
            .collect();
        assert_eq!(names, ["A", "B"]);
        assert_eq!(found[0].arguments.to_string(), "object");
        assert!(in_text("no rust", Path::new("x.rs"), Side::Both).is_empty());
    }
}
