//! Hashes of operations and interfaces: 32-bit FNV-1a over names and the text
//! of tokens, so that they are the same on every machine and in every build.

use crate::model::{Interface, Operation};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

const BASIS: u32 = 0x811c_9dc5;
const PRIME: u32 = 0x0100_0193;

/// FNV-1a over the pieces, each ended by a zero byte.
pub fn fnv1a<'a>(pieces: impl IntoIterator<Item = &'a str>) -> u32 {
    pieces
        .into_iter()
        .flat_map(|piece| piece.bytes().chain([0]))
        .fold(BASIS, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(PRIME)
        })
}

/// The hash of number, name, class, arguments and result.
pub fn operation(operation: &Operation) -> u32 {
    let mut pieces = vec![
        operation.number.to_string(),
        operation.name.to_string(),
        operation.class.name().to_owned(),
    ];
    for argument in &operation.arguments {
        pieces.push(text(&argument.declared));
    }
    pieces.push("->".to_owned());
    pieces.push(text(&operation.ok));
    pieces.push(text(&operation.error));
    if operation.deferred {
        pieces.push("deferred".to_owned());
    }
    fnv1a(pieces.iter().map(String::as_str))
}

/// The hash of the interface's name and of its operations by number.
pub fn interface(interface: &Interface) -> u32 {
    version(interface, interface.version())
}

/// The same as it was at an earlier version.
pub fn version(interface: &Interface, version: u32) -> u32 {
    let mut pieces = vec![interface.name.to_string()];
    let operations = interface.operations.iter();
    let there = operations.filter(|operation| operation.since <= version);
    pieces.extend(there.map(|there| format!("{:08x}", operation(there))));
    fnv1a(pieces.iter().map(String::as_str))
}

/// The hashes of all earlier versions, the newest first.
pub fn older(interface: &Interface) -> impl Iterator<Item = u32> {
    let versions = (1..interface.version()).rev();
    versions.map(|earlier| version(interface, earlier))
}

/// The hash of the interface's name alone.
pub fn name(interface: &Interface) -> u32 {
    fnv1a([interface.name.to_string().as_str()])
}

/// The text of a type without any white space: how a compiler spaces tokens is
/// not stable.
fn text(tokens: &impl quote::ToTokens) -> String {
    let mut text = String::new();
    append(tokens.to_token_stream(), &mut text);
    text
}

fn append(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                append(group.stream(), text);
                text.push_str(close);
            }
            other => text.push_str(&other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_matches_its_published_values() {
        assert_eq!(fnv1a([]), BASIS);
        // FNV-1a of "a\0" and of "foobar\0", computed from the definition.
        assert_eq!(fnv1a(["a"]), (0xe40c_292c_u32).wrapping_mul(PRIME));
        assert_eq!(fnv1a(["foobar"]), (0xbf9c_f968_u32).wrapping_mul(PRIME));
    }

    #[test]
    fn spacing_does_not_matter() {
        let parse = |text: &str| text.parse::<TokenStream>().unwrap();
        assert_eq!(text(&parse("[ u8 ;4 ]")), "[u8;4]");
        assert_eq!(text(&parse("Result<Text < 8 >,E>")), "Result<Text<8>,E>");
    }
}
