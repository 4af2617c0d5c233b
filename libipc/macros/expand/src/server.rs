//! The server's side: the trait and the dispatch.

use crate::{
    Root,
    model::{Interface, Kind, Operation, fail},
    table::number_name,
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};

/// The client type's name.
pub(crate) fn client_name(interface: &Interface) -> Ident {
    format_ident!("{}Client", interface.name)
}

/// A local name that no argument can clash with.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Trait and dispatch of a kernel object.
pub(crate) fn kernel(interface: &Interface) -> syn::Result<TokenStream> {
    for operation in &interface.operations {
        if operation.deferred || operation.leases() > 0 {
            return fail(
                &operation.name,
                format!(
                    "`{}`: a kernel object has no leases and no deferred operations",
                    operation.name
                ),
            );
        }
    }
    let root = Root::Abi.path();
    let (visibility, name) = (&interface.visibility, &interface.name);
    let declaration = declaration(interface, &root);
    let (server, request, reply) = (local("server"), local("request"), local("reply"));
    let arms = interface.operations.iter().map(|operation| {
        let (number, method) = (number_name(operation), &operation.name);
        let (takes, passed) = arguments(operation, &root, &request);
        let ok = &operation.ok;
        quote! {
            number::#number => {
                #takes
                if !#reply.takes(<#ok as #root::wire::Wire>::CAPABILITIES as u8) {
                    return Err(#root::status::Cause::QuotaExceeded);
                }
                Ok(#root::operation::outcome(#server.#method(#(#passed),*), #reply))
            }
        }
    });
    let doc = format!(
        " Takes the arguments of an operation of [`{name}`], runs it and puts its result into the reply."
    );
    Ok(quote! {
        #declaration

        #[doc = #doc]
        /// `Ok(Err(code))` is the error that it returned.
        #[inline(always)]
        #visibility fn dispatch<S: #name + ?Sized>(
            #server: &mut S,
            operation: u8,
            #request: &mut impl #root::wire::Source,
            #reply: &mut impl #root::wire::Sink,
        ) -> Result<Result<(), u64>, #root::status::Cause> {
            match operation {
                #(#arms)*
                _ => Err(#root::status::Cause::VersionMismatch),
            }
        }
    })
}

/// The raw handle that the kernel passes around.
pub(crate) fn handle(interface: &Interface) -> TokenStream {
    let root = Root::Abi.path();
    let (visibility, client) = (&interface.visibility, client_name(interface));
    let doc = format!(" A handle that leads to a [`{}`].", interface.name);
    quote! {
        #[doc = #doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(transparent)]
        #visibility struct #client(pub #root::handle::Handle);

        impl #root::wire::Wire for #client {
            const WORDS: usize = 0;
            const CAPABILITIES: usize = 1;
            #[inline]
            fn put(self, sink: &mut impl #root::wire::Sink) {
                sink.capability(self.0, false);
            }
            #[inline]
            fn take(
                source: &mut impl #root::wire::Source,
            ) -> Result<Self, #root::wire::Malformed> {
                source.capability().map(#client)
            }
        }
    }
}

/// Trait and dispatch of a server in user space.
pub(crate) fn user(interface: &Interface) -> TokenStream {
    let root = Root::Libipc.path();
    let (visibility, name) = (&interface.visibility, &interface.name);
    let declaration = declaration(interface, &root);
    let (server, request, reply) = (local("server"), local("request"), local("reply"));
    let arms = interface.operations.iter().map(|operation| {
        let (number, method) = (number_name(operation), &operation.name);
        let (takes, passed) = arguments(operation, &root, &request);
        if operation.deferred {
            quote! {
                number::#number => {
                    #takes
                    let #reply = #request.defer()?;
                    #server.#method(#(#passed,)* #reply);
                    Ok(#root::server::Outcome::Deferred)
                }
            }
        } else {
            quote! {
                number::#number => {
                    #takes
                    let outcome = #root::operation::outcome(#server.#method(#(#passed),*), #reply);
                    Ok(#root::server::Outcome::Answered(outcome))
                }
            }
        }
    });
    let doc = format!(
        " Takes the arguments of an operation of [`{name}`], runs it and puts its result into the reply."
    );
    let dispatches = [quote!(dyn #name + '_), quote!(dyn #name + Send + '_)].map(|served| {
        quote! {
            impl #root::server::Dispatch for #served {
                const INTERFACE: #root::operation::Interface = INTERFACE;

                #[inline]
                fn dispatch<'r>(
                    &mut self,
                    operation: u8,
                    request: &mut impl #root::server::Request<'r>,
                    reply: &mut impl #root::wire::Sink,
                ) -> Result<#root::server::Outcome, #root::status::Cause> {
                    dispatch(self, operation, request, reply)
                }
            }
        }
    });
    quote! {
        #declaration

        #[doc = #doc]
        #[inline]
        #visibility fn dispatch<'r, S: #name + ?Sized>(
            #server: &mut S,
            operation: u8,
            #request: &mut impl #root::server::Request<'r>,
            #reply: &mut impl #root::wire::Sink,
        ) -> Result<#root::server::Outcome, #root::status::Cause> {
            match operation {
                #(#arms)*
                _ => Err(#root::status::Cause::VersionMismatch),
            }
        }

        #(#dispatches)*
    }
}

/// The trait. A deferred operation gets a reply and returns nothing.
fn declaration(interface: &Interface, root: &TokenStream) -> TokenStream {
    let (visibility, name) = (&interface.visibility, &interface.name);
    let attributes = &interface.attributes;
    let methods = interface.operations.iter().map(|operation| {
        let (attributes, method) = (&operation.attributes, &operation.name);
        let (ok, error) = (&operation.ok, &operation.error);
        let many = many_arguments(operation);
        let parameters = operation.arguments.iter().map(|argument| {
            let (name, declared) = (&argument.name, &argument.declared);
            match argument.kind {
                Kind::Lease | Kind::LeaseMut if operation.deferred => {
                    quote!(#name: #root::server::LeaseId)
                }
                _ => quote!(#name: #declared),
            }
        });
        if operation.deferred {
            quote! {
                #(#attributes)* #many
                fn #method(
                    &mut self, #(#parameters,)* reply: #root::server::Reply<#ok, #error>
                );
            }
        } else {
            quote! {
                #(#attributes)* #many
                fn #method(&mut self, #(#parameters),*) -> Result<#ok, #error>;
            }
        }
    });
    quote! {
        #(#attributes)*
        #visibility trait #name {
            #(#methods)*
        }
    }
}

/// The lint's permission for a method with many arguments.
pub(crate) fn many_arguments(operation: &Operation) -> TokenStream {
    if operation.arguments.len() > 6 {
        quote! {
            #[allow(clippy::too_many_arguments, reason = "one argument for each part of a message")]
        }
    } else {
        TokenStream::new()
    }
}

/// Statements that take the arguments, and the expressions that pass them on.
fn arguments(
    operation: &Operation,
    root: &TokenStream,
    request: &Ident,
) -> (TokenStream, Vec<TokenStream>) {
    let (mut takes, mut passed) = (TokenStream::new(), Vec::new());
    for argument in &operation.arguments {
        let (name, declared) = (&argument.name, &argument.declared);
        let take = match &argument.kind {
            Kind::Plain => quote!(<#declared as #root::wire::Wire>::take(#request)?),
            Kind::Copied(client) => quote!(<#client as #root::wire::Wire>::take(#request)?),
            Kind::Lease if operation.deferred => quote!(#request.lease_id(false)?),
            Kind::LeaseMut if operation.deferred => quote!(#request.lease_id(true)?),
            Kind::Lease => quote!(#request.take_lease()?),
            Kind::LeaseMut => quote!(#request.take_lease_mut()?),
        };
        takes.extend(quote!(let #name = #take;));
        passed.push(match argument.kind {
            Kind::Copied(_) => quote!(&#name),
            _ => quote!(#name),
        });
    }
    (takes, passed)
}
