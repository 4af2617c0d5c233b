//! What the Tab key offers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::execute::{Host, Shell, absolute};
use crate::language::quoted;
use crate::line::{Complete, Completions};

/// Completes commands, paths, variables and grants, as this shell sees them.
pub struct Here<'a, H: Host>(pub &'a mut Shell<H>);

impl<H: Host> Complete for Here<'_, H> {
    fn complete(&mut self, line: &str, cursor: usize) -> Completions {
        let place = Place::of(&line[..cursor]);
        let shell = &mut *self.0;
        if let Some(name) = place.text.strip_prefix('$') {
            let names = shell.variable_names().map(ToString::to_string).collect();
            return offer(place.start, names, name, |name| format!("${name}"));
        }
        let ended = |name: &str| format!("{} ", quoted(name));
        match place.before.as_slice() {
            [] if !place.text.contains('/') => {
                let names = shell.commands();
                offer(place.start, names, &place.text, ended)
            }
            [run, .., grant] if run == "run" && grant == "--grant" => {
                let names = shell.host.grants();
                offer(place.start, names, &place.text, ended)
            }
            [run, options @ ..]
                if run == "run" && options.len() % 2 == 0 && all_grants(options) =>
            {
                let mut names = shell.host.programs();
                names.push("--grant".into());
                offer(place.start, names, &place.text, ended)
            }
            [help] if help == "help" => {
                let names = shell.commands();
                offer(place.start, names, &place.text, ended)
            }
            _ => paths(shell, &place),
        }
    }
}

/// Whether these are `--grant NAME`, any number of times.
fn all_grants(options: &[String]) -> bool {
    options.chunks(2).all(|pair| pair[0] == "--grant")
}

/// Names in a directory that begin as the word does.
fn paths<H: Host>(shell: &mut Shell<H>, place: &Place) -> Completions {
    let (directory, prefix) = match place.text.rfind('/') {
        Some(end) => place.text.split_at(end + 1),
        None => ("", place.text.as_str()),
    };
    let names = shell
        .host
        .list(&absolute(&shell.directory, directory))
        .unwrap_or_default();
    let hidden = prefix.starts_with('.');
    let fits = |name: &str| name.starts_with(prefix) && (hidden || !name.starts_with('.'));
    let mut found = Completions {
        start: place.start,
        ..Completions::default()
    };
    for (name, is_directory) in names.into_iter().filter(|(name, _)| fits(name)) {
        let end = if is_directory { "/" } else { " " };
        found
            .words
            .push(quoted(&format!("{directory}{name}")) + end);
        found.shown.push(name + end.trim_end());
    }
    found
}

/// Those of `names` that begin with `prefix`.
fn offer(
    start: usize,
    names: Vec<String>,
    prefix: &str,
    word: impl Fn(&str) -> String,
) -> Completions {
    let shown: Vec<String> = names
        .into_iter()
        .filter(|name| name.starts_with(prefix))
        .collect();
    Completions {
        start,
        words: shown.iter().map(|name| word(name)).collect(),
        shown,
    }
}

/// Where in a line the cursor stands.
#[derive(Debug, Default, PartialEq, Eq)]
struct Place {
    /// Where the word at the cursor begins.
    start: usize,
    /// That word, without quotes.
    text: String,
    /// The words before it in the same command, without targets of `<` and `>`.
    before: Vec<String>,
}

impl Place {
    /// Reads a line up to the cursor, which may stand inside quotes.
    fn of(line: &str) -> Place {
        let mut place = Place::default();
        let mut quote = None;
        let mut in_word = false;
        let mut escaped = false;
        let mut target = false;
        for (at, character) in line.char_indices() {
            if core::mem::take(&mut escaped) {
                place.text.push(character);
                continue;
            }
            let ends = quote.is_none() && " \t\n|&;<>".contains(character);
            if !ends && !in_word {
                in_word = true;
                place.start = at;
            }
            match character {
                _ if ends => {
                    if in_word {
                        let word = core::mem::take(&mut place.text);
                        if !core::mem::take(&mut target) {
                            place.before.push(word);
                        }
                    }
                    in_word = false;
                    place.start = at + 1;
                    match character {
                        '|' | '&' | ';' | '\n' => place.before.clear(),
                        '<' | '>' => target = true,
                        _ => {}
                    }
                }
                '\\' if quote != Some('\'') => escaped = true,
                '\'' | '"' if quote.is_none() => quote = Some(character),
                closing if quote == Some(closing) => quote = None,
                other => place.text.push(other),
            }
        }
        if target {
            // A path, whatever stands before it.
            place.before.push(String::new());
        }
        if place.before.first().is_some_and(|word| word == "time") {
            place.before.remove(0);
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::World;

    fn words(line: &str) -> Vec<String> {
        let mut shell = Shell::new(World::new());
        shell.host.file("/tmp/with space", "");
        shell.host.file("/tmp/.hidden", "");
        shell.run_line("cd /tmp; variable=1").unwrap();
        let found = Here(&mut shell).complete(line, line.len());
        let kept = &line[..found.start];
        found
            .words
            .iter()
            .map(|word| format!("{kept}{word}"))
            .collect()
    }

    #[test]
    fn commands_first_then_paths() {
        assert_eq!(words("ca"), ["cat "]);
        assert_eq!(words("time ca"), ["time cat "]);
        assert_eq!(words("true; ca"), ["true; cat "]);
        assert_eq!(words("cat a"), ["cat a.txt "]);
        assert_eq!(words("cat <a"), ["cat <a.txt "]);
        assert_eq!(words("> a"), ["> a.txt "]);
        assert_eq!(words("cat a.txt | ca"), ["cat a.txt | cat "]);
        assert_eq!(words("cat /b"), ["cat /boot/"]);
        assert_eq!(words("cat ../boot/m"), ["cat ../boot/motd "]);
        assert!(words("cat /none/x").is_empty());
    }

    #[test]
    fn quotes_are_kept_right() {
        assert_eq!(words("cat w"), ["cat 'with space' "]);
        assert_eq!(words("cat 'with s"), ["cat 'with space' "]);
        assert_eq!(words("cat with\\ s"), ["cat 'with space' "]);
        assert_eq!(words("cat ").len(), 3);
        assert_eq!(words("cat ."), ["cat .hidden "]);
    }

    #[test]
    fn variables_grants_and_programs() {
        assert_eq!(words("echo $va"), ["echo $variable"]);
        assert_eq!(words("run --grant k"), ["run --grant kill-any "]);
        assert_eq!(
            words("run --grant kill-any ki"),
            ["run --grant kill-any kill "]
        );
        assert_eq!(words("run --g"), ["run --grant "]);
        assert_eq!(words("help ali"), ["help alias "]);
    }
}
