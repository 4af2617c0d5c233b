//! Tells the linker where the kernel lies.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=link");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it") + "/link";
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    println!("cargo:rustc-link-arg-bins=-T{folder}/{arch}.ld");
    println!("cargo:rustc-link-arg-bins=-L{folder}");
}
