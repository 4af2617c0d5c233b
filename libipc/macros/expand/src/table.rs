//! The constant table of operations.

use crate::{
    hash,
    model::{Class, Interface, Kind, Operation},
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};

/// `number::NAME` of an operation.
pub(crate) fn number_name(operation: &Operation) -> Ident {
    let name = operation.name.to_string();
    let name = name.trim_start_matches("r#").to_uppercase();
    Ident::new(&name, Span::call_site())
}

/// Emits `INTERFACE`, `number` and, if errors are declared, `ERRORS`.
pub(crate) fn emit(interface: &Interface, root: &TokenStream) -> TokenStream {
    let visibility = &interface.visibility;
    let name = interface.name.to_string();
    let (interface_hash, name_hash) = (hash::interface(interface), hash::name(interface));
    let older = hash::older(interface);
    let rows = interface.operations.iter().map(|op| row(op, root));
    let numbers = interface.operations.iter().map(|operation| {
        let (name, number) = (number_name(operation), operation.number);
        let doc = format!(" Number of `{}`.", operation.name);
        quote! {
            #[doc = #doc]
            pub const #name: u8 = #number;
        }
    });
    let interface_doc = format!(" The operations of `{name}`, by number.");
    let numbers_doc = format!(" Numbers of the operations of `{name}`.");
    let errors = errors(interface);
    quote! {
        #[doc = #interface_doc]
        #visibility const INTERFACE: #root::operation::Interface = #root::operation::Interface {
            name: #name,
            name_hash: #name_hash,
            hash: #interface_hash,
            older: &[#(#older),*],
            operations: &[#(#rows),*],
        };

        #[doc = #numbers_doc]
        #visibility mod number {
            #(#numbers)*
        }

        #errors
    }
}

/// The codes of declared errors: apart from the table, for nobody needs them to
/// make a call or to serve one.
fn errors(interface: &Interface) -> Option<TokenStream> {
    let operations = &interface.operations;
    operations
        .iter()
        .find(|operation| !operation.errors.is_empty())?;
    let visibility = &interface.visibility;
    let doc = format!(
        " Codes of the errors with which operations of `{}` refuse, in the order of `INTERFACE`.",
        interface.name
    );
    let rows = operations.iter().map(|operation| {
        let (error, names) = (&operation.error, &operation.errors);
        quote!(&[#(<#error>::#names as u64),*])
    });
    Some(quote! {
        #[doc = #doc]
        #visibility const ERRORS: &[&[u64]] = &[#(#rows),*];
    })
}

fn row(operation: &Operation, root: &TokenStream) -> TokenStream {
    let span = operation.name.span();
    let (name, number) = (operation.name.to_string(), operation.number);
    let class = format_ident!("{}", operation.class.name());
    let (leases, deferred) = (operation.leases(), operation.deferred);
    let (mut words, mut capabilities) = (Vec::new(), Vec::new());
    for argument in &operation.arguments {
        let declared = &argument.declared;
        match &argument.kind {
            Kind::Plain => {
                words.push(quote!(<#declared as #root::wire::Wire>::WORDS));
                capabilities.push(quote!(<#declared as #root::wire::Wire>::CAPABILITIES));
            }
            Kind::Copied(_) => capabilities.push(quote!(1)),
            Kind::Lease | Kind::LeaseMut => {}
        }
    }
    let ok = &operation.ok;
    let operation_hash = hash::operation(operation);
    let bound = match operation.class {
        Class::Recorded => quote!(no_capabilities),
        Class::Once | Class::Idempotent => quote!(capabilities),
    };
    quote_spanned! {span=>
        #root::operation::Operation {
            number: #number,
            name: #name,
            class: #root::operation::Class::#class,
            request_words: #root::operation::words(&[#(#words),*]),
            reply_words: #root::operation::words(&[<#ok as #root::wire::Wire>::WORDS]),
            request_capabilities: #root::operation::#bound(&[#(#capabilities),*]),
            reply_capabilities:
                #root::operation::#bound(&[<#ok as #root::wire::Wire>::CAPABILITIES]),
            leases: #root::operation::leases(#leases),
            deferred: #deferred,
            hash: #operation_hash,
        }
    }
}
