//! What a tool says of itself.

use alloc::format;
use alloc::string::String;

/// What a tool is for and how it is used.
#[derive(Debug)]
pub struct About {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Its options, each a letter, and what they do.
    pub options: &'static [(char, &'static str)],
    /// Least and most operands.
    pub operands: (usize, usize),
    /// Which operands are paths, and what is done there. The first rule that
    /// fits an operand counts.
    pub paths: &'static [PathRule],
    /// Capabilities without which it can do nothing.
    pub needs: &'static [&'static str],
}

/// That some operands are paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathRule {
    /// Which operands.
    pub which: Which,
    /// What is done there.
    pub access: Access,
}

/// Which operands a rule is about; the first is number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The operand of that number and all after it.
    From(usize),
    /// The last operand, if it is not the only one.
    Last,
    /// The working directory, if there are no operands.
    Default,
}

/// What is done at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A file or directory that is there is read.
    Read,
    /// A file is written, and made if it is not there; a directory is changed.
    Create,
    /// The last name of the path is made, moved or removed in its directory.
    Parent,
}

impl PathRule {
    /// A rule.
    pub const fn new(which: Which, access: Access) -> Self {
        PathRule { which, access }
    }
}

impl About {
    /// One that takes no options, operands, paths or capabilities.
    pub const fn new(name: &'static str, usage: &'static str, summary: &'static str) -> Self {
        About {
            name,
            usage,
            summary,
            options: &[],
            operands: (0, 0),
            paths: &[],
            needs: &[],
        }
    }

    /// What is done at the path that is operand `number` of `count`.
    pub fn access(&self, number: usize, count: usize) -> Option<Access> {
        let fits = |rule: &&PathRule| match rule.which {
            Which::From(first) => number >= first,
            Which::Last => count > 1 && number + 1 == count,
            Which::Default => false,
        };
        self.paths.iter().find(fits).map(|rule| rule.access)
    }

    /// What `--help` prints.
    pub fn help(&self) -> String {
        let mut text = format!("usage: {}\n{}\n", self.usage, self.summary);
        for (letter, meaning) in self.options {
            text += &format!("  -{letter}  {meaning}\n");
        }
        for name in self.needs {
            text += &format!(
                "needs the capability `{name}`: run --grant {name} {}\n",
                self.name
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_counts() {
        let cp = crate::tools::cp::ABOUT;
        assert_eq!(cp.access(0, 2), Some(Access::Read));
        assert_eq!(cp.access(1, 2), Some(Access::Create));
        assert_eq!(cp.access(1, 3), Some(Access::Read));
        let grep = crate::tools::grep::ABOUT;
        assert_eq!(grep.access(0, 2), None);
        assert_eq!(grep.access(1, 2), Some(Access::Read));
    }
}
