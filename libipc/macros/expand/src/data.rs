//! Plain data in messages, and error codes.

use crate::{Root, model::fail};
use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, Expr, ExprLit, Fields, Ident, Lit, Result};

/// `#[derive(Wire)]`: a struct with named fields, or an enum of numbers.
pub fn wire(item: TokenStream, root: Root) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let root = root.path();
    no_generics(&item)?;
    let name = &item.ident;
    let (words, capabilities, put, take) = match &item.data {
        Data::Struct(data) => {
            let Fields::Named(fields) = &data.fields else {
                return fail(name, format!("`{name}` needs named fields to travel"));
            };
            let names: Vec<_> = fields.named.iter().map(|field| &field.ident).collect();
            let types: Vec<_> = fields.named.iter().map(|field| &field.ty).collect();
            (
                quote!(0 #(+ <#types as #root::wire::Wire>::WORDS)*),
                quote!(0 #(+ <#types as #root::wire::Wire>::CAPABILITIES)*),
                quote!(#(#root::wire::Wire::put(self.#names, sink);)*),
                quote!(Ok(Self { #(#names: #root::wire::Wire::take(source)?,)* })),
            )
        }
        Data::Enum(data) => {
            let (names, numbers) = variants(name, data)?;
            (
                quote!(1),
                quote!(0),
                quote!(sink.word(self as u64);),
                quote!(match source.word()? {
                    #(#numbers => Ok(Self::#names),)*
                    _ => Err(#root::wire::Malformed),
                }),
            )
        }
        Data::Union(_) => return fail(name, format!("`{name}`: a union cannot travel")),
    };
    Ok(quote! {
        impl #root::wire::Wire for #name {
            const WORDS: usize = #words;
            const CAPABILITIES: usize = #capabilities;
            #[inline]
            fn put(self, sink: &mut impl #root::wire::Sink) {
                #put
            }
            #[inline]
            fn take(source: &mut impl #root::wire::Source) -> Result<Self, #root::wire::Malformed> {
                #take
            }
        }
    })
}

/// `#[derive(ErrorCode)]`: an enum of numbers, each with its code.
pub fn error_code(item: TokenStream, root: Root) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let root = root.path();
    no_generics(&item)?;
    let name = &item.ident;
    let Data::Enum(data) = &item.data else {
        return fail(
            name,
            format!("`{name}` must be an enum to be an error code"),
        );
    };
    let (names, numbers) = variants(name, data)?;
    Ok(quote! {
        impl #root::wire::ErrorCode for #name {
            #[inline]
            fn to_code(self) -> u64 {
                self as u64
            }
            #[inline]
            fn from_code(code: u64) -> Option<Self> {
                match code {
                    #(#numbers => Some(Self::#names),)*
                    _ => None,
                }
            }
        }
    })
}

fn no_generics(item: &DeriveInput) -> Result<()> {
    if item.generics.params.is_empty() {
        return Ok(());
    }
    let name = &item.ident;
    fail(
        &item.generics,
        format!("`{name}` cannot travel: it has type parameters"),
    )
}

/// Names and explicit numbers of a fieldless enum.
fn variants<'a>(name: &Ident, data: &'a DataEnum) -> Result<(Vec<&'a Ident>, Vec<Literal>)> {
    let (mut names, mut numbers) = (Vec::new(), Vec::new());
    for variant in &data.variants {
        let variant_name = &variant.ident;
        if !matches!(variant.fields, Fields::Unit) {
            return fail(
                variant,
                format!("`{name}::{variant_name}` has fields and cannot travel"),
            );
        }
        let Some((
            _,
            Expr::Lit(ExprLit {
                lit: Lit::Int(number),
                ..
            }),
        )) = &variant.discriminant
        else {
            return fail(
                variant,
                format!("`{name}::{variant_name}` needs an explicit number: they are ABI"),
            );
        };
        names.push(variant_name);
        numbers.push(Literal::u64_unsuffixed(number.base10_parse()?));
    }
    if names.is_empty() {
        return fail(name, format!("`{name}` has no values"));
    }
    Ok((names, numbers))
}
