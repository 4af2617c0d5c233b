//! The client's side.

use crate::{
    Root,
    model::{Interface, Kind, Operation},
    server::{client_name, local, many_arguments},
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

/// Emits the client. `linked` says that the trait is there to be linked to.
pub(crate) fn emit(interface: &Interface, linked: bool) -> TokenStream {
    let root = Root::Libipc.path();
    let (visibility, name) = (&interface.visibility, &interface.name);
    let client = client_name(interface);
    let doc = if linked {
        format!(" Calls a [`{name}`], wherever it is served.")
    } else {
        format!(" Calls a kernel object of type `{name}`.")
    };
    let docs = interface
        .attributes
        .iter()
        .filter(|a| a.path().is_ident("doc"));
    // How their calls begin.
    let start = match (linked, interface.object) {
        (true, false) => "new",
        (false, false) => "kernel",
        (_, true) => "object",
    };
    let methods = interface
        .operations
        .iter()
        .enumerate()
        .map(|(index, operation)| method(index, operation, start, &root));
    // The kernel and its callers are of one build.
    let agreement = linked.then(|| {
        quote! {
            /// Asks whoever serves whether the operations with these numbers (all
            /// of them, if there are none) mean the same there. A client that has
            /// not asked learns it with its first call of each operation.
            pub fn agree(&self, numbers: &[u8]) -> Result<(), #root::status::TransportError> {
                self.0.agree(&INTERFACE, numbers)
            }

            /// The same client, each of whose calls repeats the thread's last
            /// one, which ended without an answer: a recorded operation does not
            /// run twice.
            pub fn repeating(&self) -> #root::client::Borrowed<Self> {
                self.0.repeating().into()
            }
        }
    });
    quote! {
        #[doc = #doc]
        ///
        #(#docs)*
        #[derive(Debug)]
        #visibility struct #client(#root::client::Connection);

        impl #client {
            #(#methods)*

            /// The same client whose calls end at `deadline`.
            #[must_use]
            pub fn with_deadline(self, deadline: #root::time::Instant) -> Self {
                #client(self.0.with_deadline(deadline))
            }

            /// The same client whose calls end after `timeout`, each.
            #[must_use]
            pub fn with_timeout(self, timeout: ::core::time::Duration) -> Self {
                #client(self.0.with_timeout(timeout))
            }

            #agreement

            /// The same client whose calls go through `gate` while it is idle.
            #[must_use]
            pub fn with_gate(self, gate: &'static dyn #root::near::Gate) -> Self {
                #client(self.0.with_gate(gate))
            }
        }

        impl From<#root::Capability> for #client {
            fn from(capability: #root::Capability) -> Self {
                #client(capability.into())
            }
        }

        impl From<#root::client::Connection> for #client {
            fn from(connection: #root::client::Connection) -> Self {
                #client(connection)
            }
        }

        impl From<#client> for #root::Capability {
            fn from(client: #client) -> Self {
                client.0.into()
            }
        }

        impl AsRef<#root::Capability> for #client {
            fn as_ref(&self) -> &#root::Capability {
                self.0.as_ref()
            }
        }

        impl #root::wire::Wire for #client {
            const WORDS: usize = 0;
            const CAPABILITIES: usize = 1;
            fn put(self, sink: &mut impl #root::wire::Sink) {
                #root::Capability::from(self).put(sink);
            }
            fn take(
                source: &mut impl #root::wire::Source,
            ) -> Result<Self, #root::wire::Malformed> {
                Ok(<#root::Capability as #root::wire::Wire>::take(source)?.into())
            }
        }
    }
}

fn method(index: usize, operation: &Operation, start: &str, root: &TokenStream) -> TokenStream {
    let (attributes, name) = (&operation.attributes, &operation.name);
    let (ok, error) = (&operation.ok, &operation.error);
    let many = many_arguments(operation);
    let unsafety = operation.by_address.then(|| quote!(unsafe));
    let call = local("call");
    let (mut parameters, mut puts) = (Vec::new(), Vec::new());
    for argument in &operation.arguments {
        let (name, declared) = (&argument.name, &argument.declared);
        match &argument.kind {
            Kind::Plain => {
                parameters.push(quote!(#name: #declared));
                puts.push(quote!(#root::wire::Wire::put(#name, &mut #call);));
            }
            Kind::Copied(_) => {
                parameters.push(quote!(#name: #declared));
                puts.push(quote!(#call.copy(#name);));
            }
            Kind::Lease => {
                parameters.push(quote!(#name: impl #root::Lend));
                puts.push(quote!(#call.lend(#name);));
            }
            Kind::LeaseMut => {
                parameters.push(quote!(#name: impl #root::LendMut));
                puts.push(quote!(#call.lend_mut(#name);));
            }
        }
    }
    let start = Ident::new(start, Span::call_site());
    quote! {
        #(#attributes)* #many
        #[inline]
        pub #unsafety fn #name(
            &self, #(#parameters),*
        ) -> Result<#ok, #root::CallError<#error>> {
            let mut #call = #root::client::Call::#start(&self.0, &INTERFACE, #index);
            #(#puts)*
            #call.finish()
        }
    }
}
