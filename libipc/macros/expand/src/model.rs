//! An interface as its trait declares it, checked.

use proc_macro2::TokenStream;
use syn::{
    Attribute, Error, FnArg, GenericArgument, Ident, ItemTrait, LitInt, Pat, PathArguments, Result,
    ReturnType, Token, TraitItem, TraitItemFn, Type, Visibility, parse::ParseStream, parse_quote,
    punctuated::Punctuated, spanned::Spanned,
};

/// Number that no operation has: `libipc_abi::operation::AGREE`.
const AGREE: u8 = 255;

/// A whole interface.
pub struct Interface {
    /// The trait's documentation and other attributes.
    pub attributes: Vec<Attribute>,
    /// Who may see it.
    pub visibility: Visibility,
    /// The trait's name.
    pub name: Ident,
    /// Whether it is spoken to with the label flag `OBJECT`.
    pub object: bool,
    /// In the order of their numbers.
    pub operations: Vec<Operation>,
}

/// One operation.
pub struct Operation {
    /// Documentation and other attributes.
    pub attributes: Vec<Attribute>,
    /// Its number.
    pub number: u8,
    /// The method's name.
    pub name: Ident,
    /// What a repeat does.
    pub class: Class,
    /// The version of the interface that it came with, from 1 on.
    pub since: u32,
    /// Whether the server may answer later.
    pub deferred: bool,
    /// Whether it uses the caller's memory by address, so that the client's
    /// method is unsafe.
    pub by_address: bool,
    /// In the order of the declaration.
    pub arguments: Vec<Argument>,
    /// The result's type.
    pub ok: Type,
    /// The error's type.
    pub error: Type,
    /// The errors that it is declared to refuse with.
    pub errors: Vec<Ident>,
}

/// What a repeat of an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Must run at most once.
    Once,
    /// Harmless to run again.
    Idempotent,
    /// A repeat is answered from the server's record.
    Recorded,
}

impl Class {
    /// The variant of `libipc_abi::operation::Class`.
    pub fn name(self) -> &'static str {
        match self {
            Class::Once => "Once",
            Class::Idempotent => "Idempotent",
            Class::Recorded => "Recorded",
        }
    }
}

/// One argument.
pub struct Argument {
    /// Its name.
    pub name: Ident,
    /// Its type as declared.
    pub declared: Type,
    /// How it travels.
    pub kind: Kind,
}

/// How an argument travels.
pub enum Kind {
    /// As its type's `Wire` says.
    Plain,
    /// `&Client`: a copy of a capability of this type.
    Copied(Box<Type>),
    /// Memory of the caller that the server may read.
    Lease,
    /// Memory of the caller that the server may write.
    LeaseMut,
}

impl Interface {
    /// Reads and checks an interface; the error names the culprit.
    pub fn parse(arguments: TokenStream, item: TokenStream) -> Result<Interface> {
        let object = parse_object(arguments)?;
        let item: ItemTrait = syn::parse2(item)?;
        if !item.generics.params.is_empty() || item.generics.where_clause.is_some() {
            return fail(&item.generics, "an interface has no type parameters");
        }
        if !item.supertraits.is_empty() {
            return fail(&item.supertraits, "an interface has no supertraits");
        }
        let mut operations = Vec::new();
        for member in item.items {
            match member {
                TraitItem::Fn(method) => operations.push(Operation::parse(method)?),
                other => return fail(&other, "an interface consists of methods only"),
            }
        }
        operations.sort_by_key(|operation| operation.number);
        for pair in operations.windows(2) {
            if pair[0].number == pair[1].number {
                let (first, second) = (&pair[0].name, &pair[1].name);
                let number = pair[0].number;
                let text = format!("`{first}` and `{second}` both have the number {number}");
                return fail(second, text);
            }
        }
        check_versions(&operations)?;
        Ok(Interface {
            attributes: item.attrs,
            visibility: item.vis,
            name: item.ident,
            object,
            operations,
        })
    }
}

impl Interface {
    /// Its newest version.
    pub fn version(&self) -> u32 {
        let versions = self.operations.iter().map(|operation| operation.since);
        versions.max().unwrap_or(1)
    }
}

/// Each version adds something to the one before.
fn check_versions(operations: &[Operation]) -> Result<()> {
    let exists = |version| version <= 1 || operations.iter().any(|op| op.since == version);
    for operation in operations {
        let (name, before) = (&operation.name, operation.since - 1);
        if !exists(before) {
            let text = format!("`{name}`: no operation has `since = {before}`");
            return fail(name, text);
        }
    }
    Ok(())
}

fn parse_object(arguments: TokenStream) -> Result<bool> {
    if arguments.is_empty() {
        return Ok(false);
    }
    let word: Ident = syn::parse2(arguments)?;
    if word == "object" {
        return Ok(true);
    }
    fail(&word, "the only argument of an interface is `object`")
}

impl Operation {
    fn parse(method: TraitItemFn) -> Result<Operation> {
        let name = method.sig.ident.clone();
        if let Some(body) = &method.default {
            return fail(body, format!("`{name}` cannot have a default body"));
        }
        let signature = &method.sig;
        if !signature.generics.params.is_empty() || signature.asyncness.is_some() {
            return fail(
                signature,
                format!("`{name}` is a plain method: no type parameters, not async"),
            );
        }
        let (mut attributes, mut numbered, mut deferred) = (Vec::new(), None, false);
        let mut errors = Vec::new();
        for attribute in method.attrs {
            if attribute.path().is_ident("op") {
                if numbered.is_some() {
                    return fail(&attribute, format!("`{name}` has two numbers"));
                }
                numbered = Some(attribute.parse_args_with(parse_number)?);
            } else if attribute.path().is_ident("deferred") {
                attribute.meta.require_path_only()?;
                deferred = true;
            } else if attribute.path().is_ident("errors") {
                let named = Punctuated::<Ident, Token![,]>::parse_terminated;
                errors.extend(attribute.parse_args_with(named)?);
            } else {
                attributes.push(attribute);
            }
        }
        let Some((number, class, since)) = numbered else {
            return fail(
                &name,
                format!("`{name}` has no number: write `#[op(N)]` above it"),
            );
        };
        let mut inputs = method.sig.inputs.iter();
        let receiver_is_right = matches!(
            inputs.next(),
            Some(FnArg::Receiver(receiver))
                if receiver.reference.is_some()
                    && receiver.mutability.is_some()
                    && receiver.colon_token.is_none()
        );
        if !receiver_is_right {
            return fail(&name, format!("`{name}` must take `&mut self` first"));
        }
        if !errors.is_empty() {
            attributes.extend(errors_section(&errors));
        }
        let arguments: Vec<_> = inputs.map(Argument::parse).collect::<Result<_>>()?;
        let (ok, error) = parse_result(&name, &method.sig.output)?;
        if class == Class::Recorded {
            check_recorded(&name, deferred, &arguments)?;
        }
        Ok(Operation {
            attributes,
            number,
            name,
            class,
            since,
            deferred,
            by_address: signature.unsafety.is_some(),
            arguments,
            ok,
            error,
            errors,
        })
    }

    /// How many arguments are leases.
    pub fn leases(&self) -> usize {
        let is_lease = |argument: &&Argument| matches!(argument.kind, Kind::Lease | Kind::LeaseMut);
        self.arguments.iter().filter(is_lease).count()
    }
}

/// What the documentation says of the errors.
fn errors_section(errors: &[Ident]) -> [Attribute; 4] {
    let names: Vec<_> = errors.iter().map(|error| format!("`{error}`")).collect();
    let list = format!(" {}.", names.join(", "));
    ["", " # Errors", "", &list].map(|line| parse_quote!(#[doc = #line]))
}

/// A record answers a repeat with nothing but the reply's words, at once.
fn check_recorded(name: &Ident, deferred: bool, arguments: &[Argument]) -> Result<()> {
    if deferred {
        return fail(name, format!("`{name}` cannot be deferred and recorded"));
    }
    let writable = |argument: &&Argument| matches!(argument.kind, Kind::LeaseMut);
    match arguments.iter().find(writable) {
        Some(argument) => {
            let lease = &argument.name;
            let text = format!("`{name}` is recorded: what it writes to `{lease}` is not");
            fail(lease, text)
        }
        None => Ok(()),
    }
}

/// Number, class and version.
fn parse_number(input: ParseStream<'_>) -> Result<(u8, Class, u32)> {
    let number: LitInt = input.parse()?;
    let value = number
        .base10_parse()
        .ok()
        .filter(|&value| value != AGREE)
        .ok_or_else(|| Error::new(number.span(), "an operation's number is 0 to 254"))?;
    let (mut class, mut since) = (Class::Once, 1);
    while !input.is_empty() {
        input.parse::<Token![,]>()?;
        let word: Ident = input.parse()?;
        match word.to_string().as_str() {
            "once" => class = Class::Once,
            "idempotent" => class = Class::Idempotent,
            "recorded" => class = Class::Recorded,
            "since" => {
                input.parse::<Token![=]>()?;
                let version: LitInt = input.parse()?;
                since = version.base10_parse()?;
                if since == 0 {
                    return fail(&version, "versions count from 1");
                }
            }
            _ => {
                return fail(
                    &word,
                    format!("`{word}` is no class: `once`, `idempotent` or `recorded`"),
                );
            }
        }
    }
    Ok((value, class, since))
}

fn parse_result(name: &Ident, output: &ReturnType) -> Result<(Type, Type)> {
    let text = format!("`{name}` must return `Result<T, E>`");
    let ReturnType::Type(_, output) = output else {
        return fail(name, text);
    };
    if let Type::Path(path) = &**output
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && let PathArguments::AngleBracketed(generics) = &last.arguments
        && generics.args.len() == 2
        && let GenericArgument::Type(ok) = &generics.args[0]
        && let GenericArgument::Type(error) = &generics.args[1]
    {
        return Ok((ok.clone(), error.clone()));
    }
    fail(output, text)
}

impl Argument {
    fn parse(input: &FnArg) -> Result<Argument> {
        let FnArg::Typed(input) = input else {
            return fail(input, "`self` comes first");
        };
        let Pat::Ident(pattern) = &*input.pat else {
            return fail(&input.pat, "an argument is `name: Type`");
        };
        let (name, declared) = (pattern.ident.clone(), (*input.ty).clone());
        let unsupported = |what: &str| {
            fail(
                &declared,
                format!(
                    "`{name}`: {what} cannot travel in a message: use plain data, a client, \
                     `&Client`, `Lease` or `LeaseMut`"
                ),
            )
        };
        let kind = match &declared {
            Type::Reference(reference) if reference.mutability.is_some() => {
                return unsupported("a mutable reference");
            }
            Type::Reference(reference) => match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") => {
                    return unsupported("`&str` (`Text<N>` can)");
                }
                Type::Path(_) => Kind::Copied(reference.elem.clone()),
                _ => return unsupported("a reference to anything but a client"),
            },
            Type::Path(path) => match path.path.segments.last() {
                Some(last) if last.ident == "Lease" => Kind::Lease,
                Some(last) if last.ident == "LeaseMut" => Kind::LeaseMut,
                _ => Kind::Plain,
            },
            Type::Array(_) | Type::Tuple(_) => Kind::Plain,
            Type::Ptr(_) => return unsupported("a pointer"),
            Type::Slice(_) => return unsupported("a slice"),
            Type::ImplTrait(_) | Type::TraitObject(_) => return unsupported("a trait object"),
            _ => return unsupported("this type"),
        };
        Ok(Argument {
            name,
            declared,
            kind,
        })
    }
}

/// An error at `tokens`.
pub(crate) fn fail<T>(tokens: &impl Spanned, text: impl std::fmt::Display) -> Result<T> {
    Err(Error::new(tokens.span(), text))
}
