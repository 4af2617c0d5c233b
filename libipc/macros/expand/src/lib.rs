//! What the macros of `libipc` emit, as plain functions from tokens to tokens,
//! so that tests and `cargo xtask expand` can call them.
//!
//! In reading order:
//!
//! 1. [`model`]: an interface as its trait declares it, checked.
//! 2. [`hash`]: the numbers by which two sides know that they agree.
//! 3. `table`: the constant table of operations.
//! 4. `server`: the trait and the dispatch.
//! 5. `client`: the client and its methods.
//! 6. `data`: plain data in messages, and error codes.
#![forbid(unsafe_code)]

mod client;
mod data;
pub mod hash;
pub mod model;
mod server;
mod table;

pub use data::{error_code, wire};

use model::Interface;
use proc_macro2::TokenStream;
use quote::quote;

/// Which sides of an interface to emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Trait, dispatch and client, for servers and apps.
    Both,
    /// Trait, dispatch and raw handles, for the kernel.
    Kernel,
    /// The client only, for kernel objects.
    Client,
}

/// The crate whose items the emitted code names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// `::libipc`
    Libipc,
    /// `::libipc_abi`
    Abi,
}

impl Root {
    fn path(self) -> TokenStream {
        match self {
            Root::Libipc => quote!(::libipc),
            Root::Abi => quote!(::libipc_abi),
        }
    }
}

/// Expands an interface: `arguments` are the attribute's, `item` is the trait.
pub fn interface(
    arguments: TokenStream,
    item: TokenStream,
    side: Side,
) -> syn::Result<TokenStream> {
    let interface = Interface::parse(arguments, item)?;
    let root = match side {
        Side::Kernel => Root::Abi.path(),
        Side::Both | Side::Client => Root::Libipc.path(),
    };
    let table = table::emit(&interface, &root);
    let sides = match side {
        Side::Kernel => {
            let (server, handle) = (server::kernel(&interface)?, server::handle(&interface));
            quote!(#server #handle)
        }
        Side::Client => client::emit(&interface, false),
        Side::Both => {
            if let Some(operation) = interface.operations.iter().find(|op| op.by_address) {
                let name = &operation.name;
                let text = format!("`{name}`: only the kernel uses a caller's addresses");
                return model::fail(name, text);
            }
            let (server, client) = (server::user(&interface), client::emit(&interface, true));
            quote!(#server #client)
        }
    };
    Ok(quote!(#table #sides))
}
