use super::*;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use proptest::prelude::*;

/// Variables and files for tests.
struct World {
    variables: BTreeMap<&'static str, &'static str>,
    arguments: Vec<String>,
}

impl Variables for World {
    fn value(&self, name: &str) -> String {
        self.variables.get(name).copied().unwrap_or_default().into()
    }
    fn arguments(&self) -> &[String] {
        &self.arguments
    }
}

impl Names for World {
    fn names(&mut self, directory: &str) -> Vec<(String, bool)> {
        let names: &[(&str, bool)] = match directory {
            "" => &[
                ("b.rs", false),
                ("a.rs", false),
                (".hidden", false),
                ("src", true),
            ],
            "/" => &[("boot", true), ("tmp", true), ("file", false)],
            "/boot/" => &[("motd", false), ("sh", false)],
            "/tmp/" => &[("motd", false)],
            "src/" => &[("x y", false)],
            _ => &[],
        };
        names
            .iter()
            .map(|(name, directory)| (name.to_string(), *directory))
            .collect()
    }
}

fn world() -> World {
    World {
        variables: BTreeMap::from([
            ("x", "one  two"),
            ("star", "*.rs"),
            ("?", "3"),
            ("_a1", "v"),
        ]),
        arguments: vec!["p q".into(), "r".into()],
    }
}

/// The words that each command of the first pipeline gets.
fn words(text: &str) -> Vec<String> {
    let mut world = world();
    let script = parse(text).unwrap();
    let words = &script.steps[0].pipeline.commands[0].words;
    let fields: Vec<Field> = words.iter().flat_map(|word| fields(word, &world)).collect();
    fields
        .iter()
        .flat_map(|field| expand_paths(field, &mut world))
        .collect()
}

#[test]
fn quotes_keep_and_join() {
    assert_eq!(
        words(r#"a 'b  $x' "c  d"'e'\ f g"#),
        ["a", "b  $x", "c  de f", "g"]
    );
    assert_eq!(
        words(r#"'' "" a"" \" "\a\"\\\$""#),
        ["", "", "a", "\"", "\\a\"\\$"]
    );
    assert_eq!(words("a\\\nb \\\n c"), ["ab", "c"]);
    assert_eq!(words("echo # not this"), ["echo"]);
    assert_eq!(words("echo a#b '#'"), ["echo", "a#b", "#"]);
}

#[test]
fn variables_are_cut_unless_quoted() {
    assert_eq!(words("a$x"), ["aone", "two"]);
    assert_eq!(words("\"a$x\"b"), ["aone  twob"]);
    assert_eq!(words("${x}y $nothing \"$nothing\""), ["one", "twoy", ""]);
    assert_eq!(
        words("$? ${?} $_a1- $ $+ \\$x"),
        ["3", "3", "v-", "$", "$+", "$x"]
    );
    assert_eq!(words("a\"$@\"b"), ["ap q", "rb"]);
}

#[test]
fn patterns_match_names() {
    assert_eq!(
        words("*.rs ?.rs [b-z]*"),
        ["a.rs", "b.rs", "a.rs", "b.rs", "b.rs", "src"]
    );
    assert_eq!(words("'*'.rs \\*.rs \"*.rs\""), ["*.rs", "*.rs", "*.rs"]);
    assert_eq!(words("$star"), ["a.rs", "b.rs"]);
    assert_eq!(words("*.none"), ["*.none"]);
    assert_eq!(words("/*/motd"), ["/boot/motd", "/tmp/motd"]);
    assert_eq!(words("/*/sh .h*"), ["/boot/sh", ".hidden"]);
    assert_eq!(words("*/"), ["src/"]);
    assert_eq!(words("s*/x*"), ["src/x y"]);
}

#[test]
fn sets_and_stars() {
    let pattern = |text: &str| -> Vec<(char, bool)> { text.chars().map(|c| (c, false)).collect() };
    let matches = |text: &str, name: &str| matches(&pattern(text), name);
    assert!(matches("[!a]b", "xb") && !matches("[!a]b", "ab"));
    assert!(matches("[]]", "]") && matches("[a-]", "-") && matches("[x", "[x"));
    assert!(matches("a*b*c", "a1b2b3c") && !matches("a*b*c", "a1b2"));
    assert!(matches("*", "") && matches("**", "x") && !matches("?", ""));
    assert!(!matches(&"a*".repeat(30), &"b".repeat(30)));
    assert!(!matches("*a*a*a*a*a*a*a*a*a*b", &"a".repeat(500)));
}

#[test]
fn lists_and_pipelines() {
    let script = parse("a | b && c ||\n d; e &\nf\n").unwrap();
    let shape: Vec<_> = script
        .steps
        .iter()
        .map(|step| {
            (
                step.when,
                step.pipeline.text.as_str(),
                step.background,
                step.line,
            )
        })
        .collect();
    assert_eq!(
        shape,
        [
            (When::Always, "a | b", false, 1),
            (When::Success, "c", false, 1),
            (When::Failure, "d", false, 2),
            (When::Always, "e", true, 2),
            (When::Always, "f", false, 3),
        ]
    );
    assert_eq!(script.steps[0].pipeline.commands.len(), 2);
    assert_eq!(parse(" \n # nothing\n\n"), Ok(Script::default()));
}

#[test]
fn redirections_assignments_and_time() {
    let script = parse("x=1 y= a=b=c cmd z=2 <in>out 2>>err >>'o p'").unwrap();
    let command = &script.steps[0].pipeline.commands[0];
    let names: Vec<&str> = command
        .assignments
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["x", "y", "a"]);
    assert_eq!(command.words.len(), 2);
    let kinds: Vec<Redirection> = command.redirections.iter().map(|(kind, _)| *kind).collect();
    use Redirection::*;
    assert_eq!(kinds, [Input, Output, ErrorAppend, Append]);
    let script = parse("time a2>b | c").unwrap();
    assert!(script.steps[0].pipeline.timed);
    let command = &script.steps[0].pipeline.commands[0];
    assert_eq!(command.redirections[0].0, Output);
}

#[test]
fn what_is_no_script() {
    use SyntaxError::*;
    for (text, error) in [
        ("'abc", Incomplete("a `'`")),
        ("\"abc\\", Incomplete("a `\"`")),
        ("a |", Incomplete("a command")),
        ("a &&\n", Incomplete("a command")),
        ("a \\", Incomplete("the rest of the line")),
        ("${x", Incomplete("a `}`")),
        ("| a", Unexpected("|")),
        ("a ;; b", Unexpected(";")),
        ("; b", Unexpected(";")),
        ("a && || b", Unexpected("||")),
        ("a >", NoTarget(">")),
        ("a 2> | b", NoTarget("2>")),
        ("${x:-1}", BadVariable),
        ("a && b &", BackgroundList),
    ] {
        assert_eq!(parse(text), Err(error), "{text}");
    }
    for text in ["a << b", "$(a)", "(a)", "`a`"] {
        assert!(matches!(parse(text), Err(Unknown(..))), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "[ab'\"\\\\$ {}|&;<>#\n*2=()?@]{0,40}") {
        let _ = parse(&text);
    }

    #[test]
    fn what_is_quoted_comes_back(text in "\\PC{0,30}") {
        prop_assert_eq!(words(&format!("echo {}", quoted(&text))), ["echo".into(), text]);
    }

    #[test]
    fn a_name_matches_itself_and_stars(name in "[a-c\\]\\[*?!-]{1,8}") {
        let literal: Vec<(char, bool)> = name.chars().map(|c| (c, true)).collect();
        prop_assert!(matches(&literal, &name));
        let mut starred = vec![('*', false)];
        for marked in literal {
            starred.extend([marked, ('*', false)]);
        }
        prop_assert!(matches(&starred, &name));
    }
}
