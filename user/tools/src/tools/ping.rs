//! `ping`: whether somebody answers.

use alloc::format;

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::Io;
use crate::network::{Answer, Network};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, 4),
    needs: &["net"],
    words: &[
        ("count=N", "ask so many times, not 4"),
        ("size=BYTES", "ask for an echo of so many bytes, not 56"),
        ("wait=MS", "wait so many milliseconds for each answer, not 1000"),
    ],
    ..About::new("ping", "ping ADDRESS [KEY=VALUE]...", "ask somebody for an echo")
};

/// Milliseconds between two requests.
const PAUSE: u64 = 1000;

/// Most bytes of a request.
const MOST: u64 = 1400;

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let asked = Asked::parse(arguments)?;
    let to = io.network().look_up(asked.name).map_err(Error::at(asked.name))?;
    let mut answers = 0;
    for sequence in 1..=asked.count {
        let answer = io.network().echo(to, sequence, asked.size, asked.wait);
        let line = match answer.map_err(Error::at(asked.name))? {
            Some(answer) => {
                answers += 1;
                said(&answer, sequence)
            }
            None => format!("no answer: seq={sequence}\n"),
        };
        io.write(line.as_bytes())?;
        io.flush()?;
        if sequence < asked.count {
            io.sleep(PAUSE)?;
        }
    }
    io.print(format_args!("{} sent, {answers} answered\n", asked.count))?;
    Ok(i32::from(answers == 0))
}

fn said(answer: &Answer, sequence: u16) -> alloc::string::String {
    let Answer {
        source,
        bytes,
        microseconds,
    } = answer;
    let (whole, part) = (microseconds / 1000, microseconds % 1000);
    format!("{bytes} bytes from {source}: seq={sequence} time={whole}.{part:03} ms\n")
}

/// What the arguments ask for.
struct Asked<'a> {
    name: &'a str,
    count: u16,
    size: usize,
    wait: u64,
}

impl<'a> Asked<'a> {
    fn parse(arguments: &Arguments<'a>) -> Result<Self, Error> {
        let mut asked = Asked {
            name: "",
            count: 4,
            size: 56,
            wait: 1000,
        };
        for operand in &arguments.operands {
            let wrong = || Error::Usage(format!("`{}` is nothing to ask for", operand.text));
            let Some((key, value)) = operand.text.split_once('=') else {
                if !asked.name.is_empty() {
                    return Err(wrong());
                }
                asked.name = operand.text;
                continue;
            };
            let number = value.parse::<u64>().ok();
            match (key, number) {
                ("count", Some(count @ 1..=0xffff)) => asked.count = count as u16,
                ("size", Some(size @ 0..=MOST)) => asked.size = size as usize,
                ("wait", Some(wait @ 1..)) => asked.wait = wait,
                _ => return Err(wrong()),
            }
        }
        match asked.name {
            "" => Err(Error::Usage("whom to ask is missing".into())),
            _ => Ok(asked),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn answers_are_shown_and_counted() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["ping", "fe80::1"]), 1);
        fake.grant("net");
        assert_eq!(fake.run(&["ping", "fe80::1", "count=2", "size=8"]), 0);
        let text = "8 bytes from fe80::1: seq=1 time=1.500 ms\n\
                    no answer: seq=2\n2 sent, 1 answered\n";
        assert_eq!((fake.output().as_str(), fake.slept), (text, 1000));
    }

    #[test]
    fn nobody_and_nonsense() {
        let mut fake = Fake::new();
        fake.grant("net");
        assert_eq!(fake.run(&["ping", "silent", "count=1"]), 1);
        assert_eq!(fake.output(), "no answer: seq=1\n1 sent, 0 answered\n");
        assert_eq!(fake.run(&["ping", "nobody"]), 1);
        let wrong: [&[&str]; 6] = [
            &["ping"],
            &["ping", "count=1"],
            &["ping", "a", "b"],
            &["ping", "a", "count=0"],
            &["ping", "a", "size=1401"],
            &["ping", "a", "colour=blue"],
        ];
        for arguments in wrong {
            assert_eq!(fake.run(arguments), 2, "{arguments:?}");
        }
    }
}
