/// The operations of `Lamp`, by number.
pub const INTERFACE: ::libipc::operation::Interface = ::libipc::operation::Interface {
    name: "Lamp",
    name_hash: 218394689u32,
    hash: 340471880u32,
    older: &[999596647u32],
    operations: &[
        ::libipc::operation::Operation {
            number: 0u8,
            name: "light",
            class: ::libipc::operation::Class::Once,
            request_words: ::libipc::operation::words(
                &[<u8 as ::libipc::wire::Wire>::WORDS],
            ),
            reply_words: ::libipc::operation::words(
                &[<LampClient as ::libipc::wire::Wire>::WORDS],
            ),
            request_capabilities: ::libipc::operation::capabilities(
                &[<u8 as ::libipc::wire::Wire>::CAPABILITIES, 1],
            ),
            reply_capabilities: ::libipc::operation::capabilities(
                &[<LampClient as ::libipc::wire::Wire>::CAPABILITIES],
            ),
            leases: ::libipc::operation::leases(0usize),
            deferred: false,
            hash: 685570154u32,
        },
        ::libipc::operation::Operation {
            number: 1u8,
            name: "colour",
            class: ::libipc::operation::Class::Once,
            request_words: ::libipc::operation::words(
                &[<u64 as ::libipc::wire::Wire>::WORDS],
            ),
            reply_words: ::libipc::operation::words(
                &[<() as ::libipc::wire::Wire>::WORDS],
            ),
            request_capabilities: ::libipc::operation::capabilities(
                &[<u64 as ::libipc::wire::Wire>::CAPABILITIES],
            ),
            reply_capabilities: ::libipc::operation::capabilities(
                &[<() as ::libipc::wire::Wire>::CAPABILITIES],
            ),
            leases: ::libipc::operation::leases(0usize),
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
/// Calls a kernel object of type `Lamp`.
///
/// A lamp.
#[derive(Debug)]
pub struct LampClient(::libipc::client::Connection);
impl LampClient {
    /// Lights it.
    ///
    /// # Errors
    ///
    /// `Broken`, `TooBright`.
    #[inline]
    pub fn light(
        &self,
        brightness: u8,
        owner: &LampClient,
    ) -> Result<LampClient, ::libipc::CallError<LampError>> {
        let mut call = ::libipc::client::Call::object(&self.0, &INTERFACE, 0usize);
        ::libipc::wire::Wire::put(brightness, &mut call);
        call.copy(owner);
        call.finish()
    }
    /// Writes its colour to the caller's `address`.
    ///
    /// # Safety
    ///
    /// The caller may write three bytes at `address`.
    #[inline]
    pub unsafe fn colour(
        &self,
        address: u64,
    ) -> Result<(), ::libipc::CallError<LampError>> {
        let mut call = ::libipc::client::Call::object(&self.0, &INTERFACE, 1usize);
        ::libipc::wire::Wire::put(address, &mut call);
        call.finish()
    }
    /// The same client whose calls end at `deadline`.
    #[must_use]
    pub fn with_deadline(self, deadline: ::libipc::time::Instant) -> Self {
        LampClient(self.0.with_deadline(deadline))
    }
    /// The same client whose calls end after `timeout`, each.
    #[must_use]
    pub fn with_timeout(self, timeout: ::core::time::Duration) -> Self {
        LampClient(self.0.with_timeout(timeout))
    }
    /// The same client whose calls go through `gate` while it is idle.
    #[must_use]
    pub fn with_gate(self, gate: &'static dyn ::libipc::near::Gate) -> Self {
        LampClient(self.0.with_gate(gate))
    }
}
impl From<::libipc::Capability> for LampClient {
    fn from(capability: ::libipc::Capability) -> Self {
        LampClient(capability.into())
    }
}
impl From<::libipc::client::Connection> for LampClient {
    fn from(connection: ::libipc::client::Connection) -> Self {
        LampClient(connection)
    }
}
impl From<LampClient> for ::libipc::Capability {
    fn from(client: LampClient) -> Self {
        client.0.into()
    }
}
impl AsRef<::libipc::Capability> for LampClient {
    fn as_ref(&self) -> &::libipc::Capability {
        self.0.as_ref()
    }
}
impl ::libipc::wire::Wire for LampClient {
    const WORDS: usize = 0;
    const CAPABILITIES: usize = 1;
    fn put(self, sink: &mut impl ::libipc::wire::Sink) {
        ::libipc::Capability::from(self).put(sink);
    }
    fn take(
        source: &mut impl ::libipc::wire::Source,
    ) -> Result<Self, ::libipc::wire::Malformed> {
        Ok(<::libipc::Capability as ::libipc::wire::Wire>::take(source)?.into())
    }
}
