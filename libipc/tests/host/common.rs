//! A server for the tests: what it is, and how it is started.

use crate::notebook::{Cover, Notebook, NotebookClient, NotebookError};
use libipc::{
    Capability, Lease, LeaseMut, Text, fake,
    objects::EndpointClient,
    server::{Event, LeaseId, Receiver, Reply},
    status::TransportError,
};

/// The notebook's state, shared by all sessions.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) text: Vec<u8>,
    pub(crate) lines: u64,
    pub(crate) waiting: Vec<(LeaseId, Reply<u64, NotebookError>)>,
    pub(crate) watcher: Option<EndpointClient>,
    /// The next calls of this server go here, if it is set.
    pub(crate) behind: Option<NotebookClient>,
}

/// The notebook as one badge sees it.
pub(crate) struct Session<'s> {
    pub(crate) book: &'s mut Book,
    pub(crate) endpoint: Option<&'s EndpointClient>,
    pub(crate) badge: u64,
}

impl Notebook for Session<'_> {
    fn cover(&mut self) -> Result<Cover, NotebookError> {
        if let Some(behind) = &self.book.behind {
            return behind.cover().map_err(|_| NotebookError::NoSuchPage);
        }
        Ok(Cover {
            owner: Text::new("Ada").expect("it fits"),
            badge: self.badge,
            bytes: self.book.text.len() as u32,
        })
    }

    fn write(&mut self, from: Lease) -> Result<u64, NotebookError> {
        let mut text = vec![0; from.len()];
        from.read_at(0, &mut text)
            .map_err(|_| NotebookError::BadMemory)?;
        self.book.text = text;
        for (id, reply) in self.book.waiting.drain(..) {
            let count = id.len().min(self.book.text.len());
            let into = reply.lease_mut(id).expect("it was lent to write");
            let copied = into.write_at(0, &self.book.text[..count]);
            reply.answer(match copied {
                Ok(()) => Ok(count as u64),
                Err(_) => Err(NotebookError::BadMemory),
            });
        }
        Ok(self.book.text.len() as u64)
    }

    fn read(&mut self, offset: u64, into: LeaseMut) -> Result<u64, NotebookError> {
        let rest = self.book.text.get(offset as usize..);
        let rest = rest.ok_or(NotebookError::NoSuchPage)?;
        let count = rest.len().min(into.len());
        into.write_at(0, &rest[..count])
            .map_err(|_| NotebookError::BadMemory)?;
        Ok(count as u64)
    }

    fn open(&mut self, badge: u64) -> Result<NotebookClient, NotebookError> {
        let endpoint = self.endpoint.ok_or(NotebookError::NoResources)?;
        endpoint
            .mint_client(badge)
            .map_err(|_| NotebookError::NoResources)
    }

    fn watch(
        &mut self,
        keep: EndpointClient,
        borrowed: &EndpointClient,
    ) -> Result<(), NotebookError> {
        keep.signal(1).map_err(|_| NotebookError::NoResources)?;
        borrowed.signal(2).map_err(|_| NotebookError::NoResources)?;
        self.book.watcher = Some(keep);
        Ok(())
    }

    fn changed(&mut self, into: LeaseId, reply: Reply<u64, NotebookError>) {
        self.book.waiting.push((into, reply));
    }

    fn forget(&mut self) -> Result<(), NotebookError> {
        self.book.waiting.clear();
        Ok(())
    }

    fn numbers(&mut self, first: i64) -> Result<[i64; 60], NotebookError> {
        Ok(core::array::from_fn(|index| first + index as i64))
    }

    fn add_line(&mut self, line: Lease) -> Result<u64, NotebookError> {
        let mut text = vec![0; line.len()];
        line.read_at(0, &mut text)
            .map_err(|_| NotebookError::BadMemory)?;
        if text.is_empty() {
            return Err(NotebookError::NoSuchPage);
        }
        self.book.lines += 1;
        Ok(self.book.lines)
    }

    fn add_slowly(&mut self, milliseconds: u64) -> Result<[u64; 20], NotebookError> {
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        self.book.lines += 1;
        Ok([self.book.lines; 20])
    }

    fn tear(&mut self) -> Result<(), NotebookError> {
        panic!("torn, as the test asked")
    }
}

/// Serves a notebook until the endpoint ends. A signal makes it say by the
/// watcher what it was, and which sessions ended.
pub(crate) fn serve(endpoint: &EndpointClient) -> TransportError {
    let mut book = Book::default();
    let mut receiver = Receiver::new(endpoint);
    loop {
        match receiver.next() {
            Ok(Event::Message(message)) if message.is::<dyn Notebook>() => {
                let mut session = Session {
                    badge: message.badge(),
                    book: &mut book,
                    endpoint: Some(endpoint),
                };
                message.dispatch::<dyn Notebook>(&mut session);
            }
            Ok(Event::Message(message)) => message.refuse(),
            Ok(Event::Closed(badge)) => {
                if let Some(watcher) = &book.watcher {
                    watcher.signal(badge << 8).expect("the watcher is there");
                }
            }
            Ok(Event::Signals(bits)) => {
                if let Some(watcher) = &book.watcher {
                    watcher.signal(bits << 16).expect("the watcher is there");
                }
            }
            Err(error) => return error,
        }
    }
}

/// A notebook in a task of its own.
pub(crate) fn start() -> NotebookClient {
    fake::serve(serve)
}

/// The next signals of an endpoint.
pub(crate) fn signals(endpoint: &EndpointClient) -> u64 {
    match Receiver::new(endpoint).next() {
        Ok(Event::Signals(bits)) => bits,
        Ok(Event::Message(message)) => panic!("a message: {message:?}"),
        Ok(Event::Closed(badge)) => panic!("closed: {badge}"),
        Err(error) => panic!("{error}"),
    }
}

/// A second capability.
pub(crate) fn copy(client: &impl AsRef<Capability>) -> Capability {
    client.as_ref().copy().expect("it can be derived")
}
