//! The macros of `libipc`, each a wrapper of a function of `libipc-expand`.
#![forbid(unsafe_code)]

use libipc_expand::{Root, Side};
use proc_macro::TokenStream;

/// Makes an interface of a trait: operation table, dispatch and client.
///
/// ```ignore
/// #[libipc::interface]
/// pub trait Block {
///     #[op(0, idempotent)]
///     fn capacity(&mut self) -> Result<u64, BlockError>;
/// }
/// ```
///
/// `#[errors(A, B)]` above an operation lists its errors, for readers and for tests.
#[proc_macro_attribute]
pub fn interface(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(libipc_expand::interface(
        arguments.into(),
        item.into(),
        Side::Both,
    ))
}

/// The server's side only, for the kernel's objects.
#[proc_macro_attribute]
pub fn server_interface(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(libipc_expand::interface(
        arguments.into(),
        item.into(),
        Side::Kernel,
    ))
}

/// The client's side only, for the kernel's objects.
#[proc_macro_attribute]
pub fn client_interface(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(libipc_expand::interface(
        arguments.into(),
        item.into(),
        Side::Client,
    ))
}

/// Lets a struct with named fields, or an enum of numbers, travel in messages.
#[proc_macro_derive(Wire)]
pub fn wire(item: TokenStream) -> TokenStream {
    finish(libipc_expand::wire(item.into(), Root::Libipc))
}

/// [`macro@Wire`] for the crate `libipc-abi` itself.
#[proc_macro_derive(AbiWire)]
pub fn abi_wire(item: TokenStream) -> TokenStream {
    finish(libipc_expand::wire(item.into(), Root::Abi))
}

/// Makes an enum of numbers the error type of an interface.
#[proc_macro_derive(ErrorCode)]
pub fn error_code(item: TokenStream) -> TokenStream {
    finish(libipc_expand::error_code(item.into(), Root::Libipc))
}

/// [`macro@ErrorCode`] for the crate `libipc-abi` itself.
#[proc_macro_derive(AbiErrorCode)]
pub fn abi_error_code(item: TokenStream) -> TokenStream {
    finish(libipc_expand::error_code(item.into(), Root::Abi))
}

fn finish(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}
