//! Options and operands of a tool.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::about::About;
use crate::error::Error;

/// An operand: an argument that is no option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand<'a> {
    /// Its place among all arguments, the tool's name being number 0.
    pub argument: usize,
    /// What was written.
    pub text: &'a str,
}

/// The arguments of a tool, checked against what it says of itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    options: Vec<char>,
    /// The operands in order.
    pub operands: Vec<Operand<'a>>,
}

/// Places of the operands among `arguments`, the program's name being number 0:
/// those that do not begin with `-`, a lone `-`, and all after `--`.
pub fn operand_places(arguments: &[String]) -> impl Iterator<Item = usize> + '_ {
    let end = arguments.iter().skip(1).position(|text| text == "--");
    let end = end.map_or(arguments.len(), |place| place + 1);
    (1..arguments.len())
        .filter(move |&place| place > end || (place < end && !is_option(&arguments[place])))
}

fn is_option(text: &str) -> bool {
    text.starts_with('-') && text.len() > 1
}

impl<'a> Arguments<'a> {
    /// Checks `arguments`, of which the first is the tool's name. `None` if help
    /// is asked for.
    pub fn parse(about: &About, arguments: &'a [String]) -> Result<Option<Self>, Error> {
        let mut options = Vec::new();
        for text in arguments.iter().skip(1).take_while(|text| *text != "--") {
            if text == "--help" {
                return Ok(None);
            }
            if !is_option(text) {
                continue;
            }
            for letter in text.chars().skip(1) {
                if !about.options.iter().any(|(known, _)| *known == letter) {
                    return Err(unknown_option(about, text));
                }
                options.push(letter);
            }
        }
        let operands: Vec<_> = operand_places(arguments)
            .map(|argument| Operand {
                argument,
                text: &arguments[argument],
            })
            .collect();
        let (least, most) = about.operands;
        if operands.len() < least {
            return Err(Error::Usage("something is missing".into()));
        }
        if let Some(extra) = operands.get(most) {
            return Err(Error::Usage(format!("`{}` is too much", extra.text)));
        }
        Ok(Some(Arguments { options, operands }))
    }

    /// Whether this option was given.
    pub fn option(&self, letter: char) -> bool {
        self.options.contains(&letter)
    }
}

fn unknown_option(about: &About, text: &str) -> Error {
    let known: Vec<String> = about.options.iter().map(|(l, _)| format!("-{l}")).collect();
    let known = if known.is_empty() {
        "it takes none".into()
    } else {
        format!("there is {}", known.join(", "))
    };
    Error::Usage(format!("unknown option `{text}`; {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(ToString::to_string).collect()
    }

    #[test]
    fn options_and_operands_mix_until_two_dashes() {
        let about = &crate::tools::ls::ABOUT;
        let arguments = words("ls /a -l - -- -x");
        let parsed = Arguments::parse(about, &arguments).unwrap().unwrap();
        assert!(parsed.option('l'));
        let operands: Vec<_> = parsed
            .operands
            .iter()
            .map(|o| (o.argument, o.text))
            .collect();
        assert_eq!(operands, [(1, "/a"), (3, "-"), (5, "-x")]);
    }

    #[test]
    fn help_wins_and_wrong_use_says_what_is_right() {
        let about = &crate::tools::cp::ABOUT;
        assert_eq!(Arguments::parse(about, &words("cp --help")), Ok(None));
        let error = Arguments::parse(about, &words("cp -z a b")).unwrap_err();
        assert_eq!(
            error.explain(about),
            "unknown option `-z`; it takes none\nusage: cp SOURCE... TARGET"
        );
        assert!(Arguments::parse(about, &words("cp a")).is_err());
        let about = &crate::tools::uname::ABOUT;
        assert!(Arguments::parse(about, &words("uname x")).is_err());
    }
}
