/// The operations of `Lamp`, by number.
pub const INTERFACE: ::libipc_abi::operation::Interface = ::libipc_abi::operation::Interface {
    name: "Lamp",
    name_hash: 218394689u32,
    hash: 340471880u32,
    older: &[999596647u32],
    operations: &[
        ::libipc_abi::operation::Operation {
            number: 0u8,
            name: "light",
            class: ::libipc_abi::operation::Class::Once,
            request_words: ::libipc_abi::operation::words(
                &[<u8 as ::libipc_abi::wire::Wire>::WORDS],
            ),
            reply_words: ::libipc_abi::operation::words(
                &[<LampClient as ::libipc_abi::wire::Wire>::WORDS],
            ),
            request_capabilities: ::libipc_abi::operation::capabilities(
                &[<u8 as ::libipc_abi::wire::Wire>::CAPABILITIES, 1],
            ),
            reply_capabilities: ::libipc_abi::operation::capabilities(
                &[<LampClient as ::libipc_abi::wire::Wire>::CAPABILITIES],
            ),
            leases: ::libipc_abi::operation::leases(0usize),
            deferred: false,
            hash: 685570154u32,
        },
        ::libipc_abi::operation::Operation {
            number: 1u8,
            name: "colour",
            class: ::libipc_abi::operation::Class::Once,
            request_words: ::libipc_abi::operation::words(
                &[<u64 as ::libipc_abi::wire::Wire>::WORDS],
            ),
            reply_words: ::libipc_abi::operation::words(
                &[<() as ::libipc_abi::wire::Wire>::WORDS],
            ),
            request_capabilities: ::libipc_abi::operation::capabilities(
                &[<u64 as ::libipc_abi::wire::Wire>::CAPABILITIES],
            ),
            reply_capabilities: ::libipc_abi::operation::capabilities(
                &[<() as ::libipc_abi::wire::Wire>::CAPABILITIES],
            ),
            leases: ::libipc_abi::operation::leases(0usize),
            deferred: false,
            hash: 3597514142u32,
        },
    ],
};
/// Numbers of the operations of `Lamp`.
pub mod number {
    /// Number of `light`.
    pub const LIGHT: u8 = 0u8;
    /// Number of `colour`.
    pub const COLOUR: u8 = 1u8;
}
/// Codes of the errors with which operations of `Lamp` refuse, in the order of `INTERFACE`.
pub const ERRORS: &[&[u64]] = &[
    &[<LampError>::Broken as u64, <LampError>::TooBright as u64],
    &[],
];
/// A lamp.
pub trait Lamp {
    /// Lights it.
    ///
    /// # Errors
    ///
    /// `Broken`, `TooBright`.
    fn light(
        &mut self,
        brightness: u8,
        owner: &LampClient,
    ) -> Result<LampClient, LampError>;
    /// Writes its colour to the caller's `address`.
    ///
    /// # Safety
    ///
    /// The caller may write three bytes at `address`.
    fn colour(&mut self, address: u64) -> Result<(), LampError>;
}
/// Takes the arguments of an operation of [`Lamp`], runs it and puts its result into the reply.
/// `Ok(Err(code))` is the error that it returned.
#[inline(always)]
pub fn dispatch<S: Lamp + ?Sized>(
    server: &mut S,
    operation: u8,
    request: &mut impl ::libipc_abi::wire::Source,
    reply: &mut impl ::libipc_abi::wire::Sink,
) -> Result<Result<(), u64>, ::libipc_abi::status::Cause> {
    match operation {
        number::LIGHT => {
            let brightness = <u8 as ::libipc_abi::wire::Wire>::take(request)?;
            let owner = <LampClient as ::libipc_abi::wire::Wire>::take(request)?;
            if !reply.takes(<LampClient as ::libipc_abi::wire::Wire>::CAPABILITIES as u8)
            {
                return Err(::libipc_abi::status::Cause::QuotaExceeded);
            }
            Ok(::libipc_abi::operation::outcome(server.light(brightness, &owner), reply))
        }
        number::COLOUR => {
            let address = <u64 as ::libipc_abi::wire::Wire>::take(request)?;
            if !reply.takes(<() as ::libipc_abi::wire::Wire>::CAPABILITIES as u8) {
                return Err(::libipc_abi::status::Cause::QuotaExceeded);
            }
            Ok(::libipc_abi::operation::outcome(server.colour(address), reply))
        }
        _ => Err(::libipc_abi::status::Cause::VersionMismatch),
    }
}
/// A handle that leads to a [`Lamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct LampClient(pub ::libipc_abi::handle::Handle);
impl ::libipc_abi::wire::Wire for LampClient {
    const WORDS: usize = 0;
    const CAPABILITIES: usize = 1;
    #[inline]
    fn put(self, sink: &mut impl ::libipc_abi::wire::Sink) {
        sink.capability(self.0, false);
    }
    #[inline]
    fn take(
        source: &mut impl ::libipc_abi::wire::Source,
    ) -> Result<Self, ::libipc_abi::wire::Malformed> {
        source.capability().map(LampClient)
    }
}
