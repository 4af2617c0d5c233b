/// The operations of `Block`, by number.
pub const INTERFACE: ::libipc::operation::Interface = ::libipc::operation::Interface {
    name: "Block",
    name_hash: 2489959206u32,
    hash: 2686644711u32,
    older: &[],
    operations: &[
        ::libipc::operation::Operation {
            number: 0u8,
            name: "capacity",
            class: ::libipc::operation::Class::Idempotent,
            request_words: ::libipc::operation::words(&[]),
            reply_words: ::libipc::operation::words(
                &[<u64 as ::libipc::wire::Wire>::WORDS],
            ),
            request_capabilities: ::libipc::operation::capabilities(&[]),
            reply_capabilities: ::libipc::operation::capabilities(
                &[<u64 as ::libipc::wire::Wire>::CAPABILITIES],
            ),
            leases: ::libipc::operation::leases(0usize),
            deferred: false,
            hash: 895921969u32,
        },
        ::libipc::operation::Operation {
            number: 1u8,
            name: "read",
            class: ::libipc::operation::Class::Idempotent,
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
            leases: ::libipc::operation::leases(1usize),
            deferred: false,
            hash: 227612311u32,
        },
        ::libipc::operation::Operation {
            number: 2u8,
            name: "write",
            class: ::libipc::operation::Class::Recorded,
            request_words: ::libipc::operation::words(
                &[<u64 as ::libipc::wire::Wire>::WORDS],
            ),
            reply_words: ::libipc::operation::words(
                &[<() as ::libipc::wire::Wire>::WORDS],
            ),
            request_capabilities: ::libipc::operation::no_capabilities(
                &[<u64 as ::libipc::wire::Wire>::CAPABILITIES],
            ),
            reply_capabilities: ::libipc::operation::no_capabilities(
                &[<() as ::libipc::wire::Wire>::CAPABILITIES],
            ),
            leases: ::libipc::operation::leases(1usize),
            deferred: false,
            hash: 3992672400u32,
        },
        ::libipc::operation::Operation {
            number: 9u8,
            name: "watch",
            class: ::libipc::operation::Class::Once,
            request_words: ::libipc::operation::words(
                &[<EndpointClient as ::libipc::wire::Wire>::WORDS],
            ),
            reply_words: ::libipc::operation::words(
                &[<u32 as ::libipc::wire::Wire>::WORDS],
            ),
            request_capabilities: ::libipc::operation::capabilities(
                &[<EndpointClient as ::libipc::wire::Wire>::CAPABILITIES, 1],
            ),
            reply_capabilities: ::libipc::operation::capabilities(
                &[<u32 as ::libipc::wire::Wire>::CAPABILITIES],
            ),
            leases: ::libipc::operation::leases(0usize),
            deferred: true,
            hash: 2777457545u32,
        },
    ],
};
/// Numbers of the operations of `Block`.
pub mod number {
    /// Number of `capacity`.
    pub const CAPACITY: u8 = 0u8;
    /// Number of `read`.
    pub const READ: u8 = 1u8;
    /// Number of `write`.
    pub const WRITE: u8 = 2u8;
    /// Number of `watch`.
    pub const WATCH: u8 = 9u8;
}
/// Sector-addressed storage.
pub trait Block {
    /// Size in sectors of 512 bytes.
    fn capacity(&mut self) -> Result<u64, BlockError>;
    /// Fills `into` from `sector` on.
    fn read(&mut self, sector: u64, into: LeaseMut) -> Result<(), BlockError>;
    /// Writes sectors from `sector` on.
    fn write(&mut self, sector: u64, from: Lease) -> Result<(), BlockError>;
    /// Answers when something changes, and signals `other` too.
    fn watch(
        &mut self,
        mine: EndpointClient,
        other: &EndpointClient,
        reply: ::libipc::server::Reply<u32, BlockError>,
    );
}
/// Takes the arguments of an operation of [`Block`], runs it and puts its result into the reply.
#[inline]
pub fn dispatch<'r, S: Block + ?Sized>(
    server: &mut S,
    operation: u8,
    request: &mut impl ::libipc::server::Request<'r>,
    reply: &mut impl ::libipc::wire::Sink,
) -> Result<::libipc::server::Outcome, ::libipc::status::Cause> {
    match operation {
        number::CAPACITY => {
            let outcome = ::libipc::operation::outcome(server.capacity(), reply);
            Ok(::libipc::server::Outcome::Answered(outcome))
        }
        number::READ => {
            let sector = <u64 as ::libipc::wire::Wire>::take(request)?;
            let into = request.take_lease_mut()?;
            let outcome = ::libipc::operation::outcome(server.read(sector, into), reply);
            Ok(::libipc::server::Outcome::Answered(outcome))
        }
        number::WRITE => {
            let sector = <u64 as ::libipc::wire::Wire>::take(request)?;
            let from = request.take_lease()?;
            let outcome = ::libipc::operation::outcome(
                server.write(sector, from),
                reply,
            );
            Ok(::libipc::server::Outcome::Answered(outcome))
        }
        number::WATCH => {
            let mine = <EndpointClient as ::libipc::wire::Wire>::take(request)?;
            let other = <EndpointClient as ::libipc::wire::Wire>::take(request)?;
            let reply = request.defer()?;
            server.watch(mine, &other, reply);
            Ok(::libipc::server::Outcome::Deferred)
        }
        _ => Err(::libipc::status::Cause::VersionMismatch),
    }
}
impl ::libipc::server::Dispatch for dyn Block + '_ {
    const INTERFACE: ::libipc::operation::Interface = INTERFACE;
    #[inline]
    fn dispatch<'r>(
        &mut self,
        operation: u8,
        request: &mut impl ::libipc::server::Request<'r>,
        reply: &mut impl ::libipc::wire::Sink,
    ) -> Result<::libipc::server::Outcome, ::libipc::status::Cause> {
        dispatch(self, operation, request, reply)
    }
}
impl ::libipc::server::Dispatch for dyn Block + Send + '_ {
    const INTERFACE: ::libipc::operation::Interface = INTERFACE;
    #[inline]
    fn dispatch<'r>(
        &mut self,
        operation: u8,
        request: &mut impl ::libipc::server::Request<'r>,
        reply: &mut impl ::libipc::wire::Sink,
    ) -> Result<::libipc::server::Outcome, ::libipc::status::Cause> {
        dispatch(self, operation, request, reply)
    }
}
/// Calls a [`Block`], wherever it is served.
///
/// Sector-addressed storage.
#[derive(Debug)]
pub struct BlockClient(::libipc::client::Connection);
impl BlockClient {
    /// Size in sectors of 512 bytes.
    #[inline]
    pub fn capacity(&self) -> Result<u64, ::libipc::CallError<BlockError>> {
        let mut call = ::libipc::client::Call::new(&self.0, &INTERFACE, 0usize);
        call.finish()
    }
    /// Fills `into` from `sector` on.
    #[inline]
    pub fn read(
        &self,
        sector: u64,
        into: impl ::libipc::LendMut,
    ) -> Result<(), ::libipc::CallError<BlockError>> {
        let mut call = ::libipc::client::Call::new(&self.0, &INTERFACE, 1usize);
        ::libipc::wire::Wire::put(sector, &mut call);
        call.lend_mut(into);
        call.finish()
    }
    /// Writes sectors from `sector` on.
    #[inline]
    pub fn write(
        &self,
        sector: u64,
        from: impl ::libipc::Lend,
    ) -> Result<(), ::libipc::CallError<BlockError>> {
        let mut call = ::libipc::client::Call::new(&self.0, &INTERFACE, 2usize);
        ::libipc::wire::Wire::put(sector, &mut call);
        call.lend(from);
        call.finish()
    }
    /// Answers when something changes, and signals `other` too.
    #[inline]
    pub fn watch(
        &self,
        mine: EndpointClient,
        other: &EndpointClient,
    ) -> Result<u32, ::libipc::CallError<BlockError>> {
        let mut call = ::libipc::client::Call::new(&self.0, &INTERFACE, 3usize);
        ::libipc::wire::Wire::put(mine, &mut call);
        call.copy(other);
        call.finish()
    }
    /// The same client whose calls end at `deadline`.
    #[must_use]
    pub fn with_deadline(self, deadline: ::libipc::time::Instant) -> Self {
        BlockClient(self.0.with_deadline(deadline))
    }
    /// The same client whose calls end after `timeout`, each.
    #[must_use]
    pub fn with_timeout(self, timeout: ::core::time::Duration) -> Self {
        BlockClient(self.0.with_timeout(timeout))
    }
    /// Asks whoever serves whether the operations with these numbers (all
    /// of them, if there are none) mean the same there. A client that has
    /// not asked learns it with its first call of each operation.
    pub fn agree(&self, numbers: &[u8]) -> Result<(), ::libipc::status::TransportError> {
        self.0.agree(&INTERFACE, numbers)
    }
    /// The same client, each of whose calls repeats the thread's last
    /// one, which ended without an answer: a recorded operation does not
    /// run twice.
    pub fn repeating(&self) -> ::libipc::client::Borrowed<Self> {
        self.0.repeating().into()
    }
    /// The same client whose calls go through `gate` while it is idle.
    #[must_use]
    pub fn with_gate(self, gate: &'static dyn ::libipc::near::Gate) -> Self {
        BlockClient(self.0.with_gate(gate))
    }
}
impl From<::libipc::Capability> for BlockClient {
    fn from(capability: ::libipc::Capability) -> Self {
        BlockClient(capability.into())
    }
}
impl From<::libipc::client::Connection> for BlockClient {
    fn from(connection: ::libipc::client::Connection) -> Self {
        BlockClient(connection)
    }
}
impl From<BlockClient> for ::libipc::Capability {
    fn from(client: BlockClient) -> Self {
        client.0.into()
    }
}
impl AsRef<::libipc::Capability> for BlockClient {
    fn as_ref(&self) -> &::libipc::Capability {
        self.0.as_ref()
    }
}
impl ::libipc::wire::Wire for BlockClient {
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
