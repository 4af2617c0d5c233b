//! Counts lines of code: no blank lines, no comments, no tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// Lines of code in a folder, by file. Folders named `tests` and files that are
/// compiled for tests only do not count.
pub fn in_folder(folder: &Path) -> Result<Vec<(PathBuf, usize)>> {
    let mut files = Vec::new();
    collect(folder, &mut files);
    files.sort();
    let (mut counted, mut only_tests) = (Vec::new(), Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let lines = if file.extension().is_some_and(|extension| extension == "rs") {
            let rust = rust(&text).with_context(|| format!("in {}", file.display()))?;
            let beside = match file
                .file_stem()
                .is_some_and(|s| s == "lib" || s == "mod" || s == "main")
            {
                true => file.with_file_name(""),
                false => file.with_extension(""),
            };
            only_tests.extend(rust.test_modules.iter().map(|name| beside.join(name)));
            rust.lines
        } else {
            plain(&text)
        };
        counted.push((file, lines));
    }
    counted.retain(|(file, _)| {
        !only_tests
            .iter()
            .any(|module| *file == module.with_extension("rs") || file.starts_with(module))
    });
    Ok(counted)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default();
        let extension = path.extension().unwrap_or_default();
        if path.is_dir() && name != "tests" && name != "target" {
            collect(&path, files);
        } else if ["rs", "S", "s", "ld", "x"]
            .iter()
            .any(|known| extension == *known)
        {
            files.push(path);
        }
    }
}

#[derive(Debug, Default)]
struct Rust {
    lines: usize,
    /// Modules in files of their own that are compiled for tests only.
    test_modules: Vec<String>,
}

/// A line counts if a token stands on it that is neither documentation nor part
/// of an item for tests.
fn rust(text: &str) -> Result<Rust> {
    let tokens: TokenStream = text
        .parse()
        .map_err(|error| anyhow::anyhow!("is no Rust: {error}"))?;
    let (mut lines, mut counted) = (BTreeSet::new(), Rust::default());
    walk(tokens, &mut lines, &mut counted.test_modules);
    counted.lines = lines.len();
    Ok(counted)
}

fn walk(tokens: TokenStream, lines: &mut BTreeSet<usize>, test_modules: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut index = 0;
    while index < tokens.len() {
        if let Some(after) = documentation(&tokens, index) {
            index = after;
        } else if let Some(after) = test_item(&tokens, index, test_modules) {
            index = after;
        } else {
            match &tokens[index] {
                TokenTree::Group(group) => {
                    if group.delimiter() != Delimiter::None {
                        lines.insert(group.span_open().start().line);
                        lines.insert(group.span_close().start().line);
                    }
                    walk(group.stream(), lines, test_modules);
                }
                other => {
                    let span = other.span();
                    lines.extend(span.start().line..=span.end().line);
                }
            }
            index += 1;
        }
    }
}

/// If a doc comment begins here, where it ends: it is lexed as an attribute
/// whose text is that of a comment.
fn documentation(tokens: &[TokenTree], index: usize) -> Option<usize> {
    let text = punct(tokens, index, '#')?.span().source_text()?;
    if !text.starts_with("//") && !text.starts_with("/*") {
        return None;
    }
    Some(
        index
            + if punct(tokens, index + 1, '!').is_some() {
                3
            } else {
                2
            },
    )
}

/// If an item for tests begins here, where it ends.
fn test_item(tokens: &[TokenTree], index: usize, test_modules: &mut Vec<String>) -> Option<usize> {
    punct(tokens, index, '#')?;
    let TokenTree::Group(attribute) = tokens.get(index + 1)? else {
        return None;
    };
    let text = attribute.stream().to_string().replace(' ', "");
    if text != "cfg(test)" && text != "test" {
        return None;
    }
    let mut end = index + 2;
    loop {
        match tokens.get(end)? {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                if let (TokenTree::Ident(word), TokenTree::Ident(name)) =
                    (&tokens[end - 2], &tokens[end - 1])
                    && word == "mod"
                {
                    test_modules.push(name.to_string());
                }
                break;
            }
            _ => end += 1,
        }
    }
    Some(end + 1)
}

fn punct(tokens: &[TokenTree], index: usize, character: char) -> Option<&proc_macro2::Punct> {
    match tokens.get(index)? {
        TokenTree::Punct(punct)
            if punct.as_char() == character && punct.spacing() == Spacing::Alone
                || character == '#' && punct.as_char() == '#' =>
        {
            Some(punct)
        }
        _ => None,
    }
}

/// Assembly and linker scripts.
fn plain(text: &str) -> usize {
    let mut in_comment = false;
    text.lines()
        .filter(|line| {
            let mut rest = line.trim();
            let mut code = false;
            while !rest.is_empty() {
                if in_comment {
                    match rest.split_once("*/") {
                        Some((_, after)) => (in_comment, rest) = (false, after.trim()),
                        None => return code,
                    }
                } else if rest.starts_with("//") || rest.starts_with("# ") || rest == "#" {
                    return code;
                } else if let Some(after) = rest.strip_prefix("/*") {
                    (in_comment, rest) = (true, after);
                } else {
                    code = true;
                    rest = rest.find("/*").map_or("", |start| &rest[start..]);
                }
            }
            code
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_counts() {
        let text = "//! Documentation.\n\n/// More.\n/* And\n   more. */\nfn main() { // trailing\n    \
                    let text = \"two\n    lines // of text\";\n}\n";
        assert_eq!(rust(text).unwrap().lines, 4);
    }

    #[test]
    fn tests_do_not_count() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[cfg(test)]\nmod more;\n\
                    #[test]\nfn c() {\n}\n#[cfg(not(test))]\nfn d() {}\n";
        let counted = rust(text).unwrap();
        assert_eq!(counted.lines, 3);
        assert_eq!(counted.test_modules, ["more"]);
    }

    #[test]
    fn assembly_and_linker_scripts() {
        let text =
            "// entry\n_start:\n    mov x0, x1 // copy\n/* a\nb */ ret\n# gone\n#include\n\n";
        assert_eq!(plain(text), 4);
    }

    #[test]
    fn a_file_that_is_no_rust_is_an_error() {
        assert!(rust("fn a() {").is_err());
    }

    #[test]
    fn our_own_lines_are_counted() {
        let counted = in_folder(&crate::workspace::root().join("boot/archive")).unwrap();
        assert!(
            counted
                .iter()
                .any(|(file, lines)| file.ends_with("src/reader.rs") && *lines > 50)
        );
        assert!(
            counted
                .iter()
                .all(|(file, _)| !file.ends_with("tests/archive.rs"))
        );
    }
}
