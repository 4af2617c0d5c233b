//! What the macro emits, as it is kept beside this file. After an intended
//! change: `UPDATE_SNAPSHOTS=1 cargo test -p libipc-expand`, and read the diff.

use libipc_expand::{Side, interface};
use proc_macro2::TokenStream;
use std::{env, fs, path::Path};

const BLOCK: &str = r#"
/// Sector-addressed storage.
pub trait Block {
    /// Size in sectors of 512 bytes.
    #[op(0, idempotent)]
    fn capacity(&mut self) -> Result<u64, BlockError>;

    /// Writes sectors from `sector` on.
    #[op(2, recorded)]
    fn write(&mut self, sector: u64, from: Lease) -> Result<(), BlockError>;

    /// Fills `into` from `sector` on.
    #[op(1, idempotent)]
    fn read(&mut self, sector: u64, into: LeaseMut) -> Result<(), BlockError>;

    /// Answers when something changes, and signals `other` too.
    #[op(9)]
    #[deferred]
    fn watch(&mut self, mine: EndpointClient, other: &EndpointClient) -> Result<u32, BlockError>;
}
"#;

const LAMP: &str = r#"
/// A lamp.
pub trait Lamp {
    /// Lights it.
    #[op(0)]
    #[errors(Broken, TooBright)]
    fn light(&mut self, brightness: u8, owner: &LampClient) -> Result<LampClient, LampError>;

    /// Writes its colour to the caller's `address`.
    ///
    /// # Safety
    ///
    /// The caller may write three bytes at `address`.
    #[op(1, since = 2)]
    unsafe fn colour(&mut self, address: u64) -> Result<(), LampError>;
}
"#;

fn check(name: &str, arguments: &str, item: &str, side: Side) {
    let tokens = |text: &str| -> TokenStream { text.parse().expect("the test's tokens are Rust") };
    let emitted = interface(tokens(arguments), tokens(item), side).expect("it is an interface");
    let emitted = prettyplease::unparse(&syn::parse2(emitted).expect("it is Rust"));
    let allowed = emitted.replace("pub unsafe fn ", "");
    assert!(!allowed.contains("unsafe"), "what macros emit is safe");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(name);
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &emitted).expect("the snapshot can be written");
    }
    let kept = fs::read_to_string(&path).expect("the snapshot is there");
    assert!(
        emitted == kept,
        "{} differs; what the macro emits now:\n{emitted}",
        path.display()
    );
}

#[test]
fn an_interface_of_a_server() {
    check("block.rs", "", BLOCK, Side::Both);
}

#[test]
fn a_kernel_object_in_the_kernel() {
    check("lamp_kernel.rs", "object", LAMP, Side::Kernel);
}

#[test]
fn a_kernel_object_in_libipc() {
    check("lamp_client.rs", "object", LAMP, Side::Client);
}
