//! What is no interface is refused with an error that names the culprit.

use libipc_expand::{Root, Side, error_code, interface, wire};
use proc_macro2::TokenStream;

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("the test's tokens are Rust")
}

/// The error for an interface `T` with these methods.
fn refusal(methods: &str) -> String {
    refusal_of(&format!("pub trait T {{ {methods} }}"), Side::Both)
}

fn refusal_of(item: &str, side: Side) -> String {
    match interface(TokenStream::new(), tokens(item), side) {
        Ok(emitted) => panic!("accepted: {emitted}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn numbers_are_explicit_and_unique() {
    assert_eq!(
        refusal("fn read(&mut self) -> Result<u64, E>;"),
        "`read` has no number: write `#[op(N)]` above it"
    );
    assert_eq!(
        refusal(
            "#[op(1)] fn a(&mut self) -> Result<u64, E>;
             #[op(2)] fn b(&mut self) -> Result<u64, E>;
             #[op(1)] fn c(&mut self) -> Result<u64, E>;"
        ),
        "`a` and `c` both have the number 1"
    );
    assert_eq!(
        refusal("#[op(256)] fn a(&mut self) -> Result<u64, E>;"),
        "an operation's number is 0 to 254"
    );
    // It belongs to libipc itself.
    assert_eq!(
        refusal("#[op(255)] fn a(&mut self) -> Result<u64, E>;"),
        "an operation's number is 0 to 254"
    );
    assert_eq!(
        refusal("#[op(1)] #[op(2)] fn a(&mut self) -> Result<u64, E>;"),
        "`a` has two numbers"
    );
    assert_eq!(
        refusal("#[op(1, sometimes)] fn a(&mut self) -> Result<u64, E>;"),
        "`sometimes` is no class: `once`, `idempotent` or `recorded`"
    );
}

#[test]
fn versions_follow_one_another() {
    assert_eq!(
        refusal(
            "#[op(0)] fn a(&mut self) -> Result<u64, E>;
             #[op(1, idempotent, since = 3)] fn b(&mut self) -> Result<u64, E>;"
        ),
        "`b`: no operation has `since = 2`"
    );
    assert_eq!(
        refusal("#[op(0, since = 0)] fn a(&mut self) -> Result<u64, E>;"),
        "versions count from 1"
    );
}

#[test]
fn a_record_holds_words_only() {
    assert_eq!(
        refusal("#[op(0, recorded)] fn a(&mut self, into: LeaseMut) -> Result<u64, E>;"),
        "`a` is recorded: what it writes to `into` is not"
    );
    assert_eq!(
        refusal("#[op(0, recorded)] #[deferred] fn a(&mut self) -> Result<u64, E>;"),
        "`a` cannot be deferred and recorded"
    );
}

#[test]
fn only_the_kernel_takes_addresses() {
    assert_eq!(
        refusal("#[op(0)] unsafe fn a(&mut self, address: u64) -> Result<u64, E>;"),
        "`a`: only the kernel uses a caller's addresses"
    );
}

#[test]
fn methods_have_one_shape() {
    for receiver in ["&self", "self", "mut self", "self: &mut Self", ""] {
        assert_eq!(
            refusal(&format!("#[op(0)] fn a({receiver}) -> Result<u64, E>;")),
            "`a` must take `&mut self` first"
        );
    }
    for output in ["", "-> u64", "-> Result<u64>", "-> Option<u64>"] {
        assert_eq!(
            refusal(&format!("#[op(0)] fn a(&mut self) {output};")),
            "`a` must return `Result<T, E>`"
        );
    }
    assert_eq!(
        refusal("#[op(0)] fn a<X: Wire>(&mut self, x: X) -> Result<u64, E>;"),
        "`a` is a plain method: no type parameters, not async"
    );
    assert_eq!(
        refusal("#[op(0)] async fn a(&mut self) -> Result<u64, E>;"),
        "`a` is a plain method: no type parameters, not async"
    );
    assert_eq!(
        refusal("#[op(0)] fn a(&mut self) -> Result<u64, E> { Ok(0) }"),
        "`a` cannot have a default body"
    );
    assert_eq!(
        refusal("const A: u64;"),
        "an interface consists of methods only"
    );
}

#[test]
fn arguments_are_what_can_travel() {
    for (argument, what) in [
        ("&mut [u8]", "a mutable reference"),
        ("&[u8]", "a reference to anything but a client"),
        ("&str", "`&str` (`Text<N>` can)"),
        ("*const u8", "a pointer"),
        ("&dyn Fn()", "a reference to anything but a client"),
        ("impl Fn()", "a trait object"),
        ("fn(u64)", "this type"),
    ] {
        assert_eq!(
            refusal(&format!(
                "#[op(0)] fn a(&mut self, x: {argument}) -> Result<u64, E>;"
            )),
            format!(
                "`x`: {what} cannot travel in a message: use plain data, a client, \
                 `&Client`, `Lease` or `LeaseMut`"
            )
        );
    }
    assert_eq!(
        refusal("#[op(0)] fn a(&mut self, (x, y): (u64, u64)) -> Result<u64, E>;"),
        "an argument is `name: Type`"
    );
}

#[test]
fn interfaces_are_plain_traits() {
    let refused = |item| refusal_of(item, Side::Both);
    assert_eq!(
        refused("trait T<X> {}"),
        "an interface has no type parameters"
    );
    assert_eq!(
        refused("trait T: Send {}"),
        "an interface has no supertraits"
    );
    let unknown = interface(tokens("objects"), tokens("trait T {}"), Side::Kernel);
    assert_eq!(
        unknown.map(|_| ()).map_err(|error| error.to_string()),
        Err("the only argument of an interface is `object`".to_owned())
    );
}

#[test]
fn kernel_objects_neither_borrow_nor_defer() {
    for method in [
        "#[op(0)] fn a(&mut self, x: Lease) -> Result<u64, E>;",
        "#[op(0)] #[deferred] fn a(&mut self) -> Result<u64, E>;",
    ] {
        assert_eq!(
            refusal_of(&format!("trait T {{ {method} }}"), Side::Kernel),
            "`a`: a kernel object has no leases and no deferred operations"
        );
    }
}

#[test]
fn data_is_plain() {
    let of_wire = |item| {
        wire(tokens(item), Root::Libipc)
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    let refused = |text: &str| Err(text.to_owned());
    assert_eq!(of_wire("struct S { a: u64, b: [u8; 4] }"), Ok(()));
    assert_eq!(of_wire("enum N { A = 0, B = 7 }"), Ok(()));
    assert_eq!(
        of_wire("struct S(u64);"),
        refused("`S` needs named fields to travel")
    );
    assert_eq!(
        of_wire("enum N { A = 0, B }"),
        refused("`N::B` needs an explicit number: they are ABI")
    );
    assert_eq!(
        of_wire("enum N { A(u64) = 0 }"),
        refused("`N::A` has fields and cannot travel")
    );
    assert_eq!(of_wire("enum N {}"), refused("`N` has no values"));
    assert_eq!(
        of_wire("struct S<T> { a: T }"),
        refused("`S` cannot travel: it has type parameters")
    );
    assert_eq!(
        of_wire("union U { a: u64 }"),
        refused("`U`: a union cannot travel")
    );
    assert_eq!(
        error_code(tokens("struct S { a: u64 }"), Root::Abi)
            .map(|_| ())
            .map_err(|e| e.to_string()),
        refused("`S` must be an enum to be an error code")
    );
}
