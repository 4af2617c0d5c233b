//! The interfaces of the system's servers.
//!
//! | interface | served by | what it is |
//! |---|---|---|
//! | [`Stream`] | console, files | bytes in order: standard streams, pipes, files |
//! | [`Console`] | console | a seat at the terminal: who is in front, modes, Ctrl-C |
//! | [`Directory`], [`File`] | files | a path is a walk of capabilities |
//! | [`Pipes`] | files | bounded streams between two programs |
//! | [`Clock`] | rtc | what time it is outside the machine |
//! | [`Entropy`] | entropy | random bytes |
//! | [`Log`] | log | lines with a level, kept in a bounded ring |
//! | [`Block`] | block drivers | sectors of storage |
//! | [`Net`] | net | sockets: datagrams, connections, names, echo |
//! | [`Link`] | netdev | frames of a network device |
//! | [`Bus`] | softbus | other devices, and what they lend |
//! | [`Consent`] | console | the owner is asked |
//! | [`Screen`] | console | lines for whoever sits in front |
//! | [`Sensor`] | sensor | something that is measured |
//! | [`Loader`] | loader | reads ELF files that nobody vouches for |
//! | [`Virtio`] | virtio | a device's queues, with descriptors that are looked at |
//! | [`supervisor`] | init | starts, inspects and kills, each power by itself |
//!
//! [`clients`] is how the supervisor tells a server who its clients are.

pub mod block;
pub mod bus;
pub mod clients;
pub mod clock;
pub mod consent;
pub mod console;
pub mod directory;
pub mod entropy;
pub mod file;
pub mod link;
pub mod loader;
pub mod log;
pub mod net;
pub mod pipes;
pub mod screen;
pub mod sensor;
pub mod stream;
pub mod supervisor;
pub mod virtio;

pub use block::{Block, BlockAction, BlockClient, BlockError, BlockRequest, Completions, Geometry};
pub use bus::{Bus, BusClient, BusError};
pub use clock::{Clock, ClockClient, ClockError, WallTime};
pub use consent::{Consent, ConsentClient, ConsentError};
pub use console::{Console, ConsoleClient, ConsoleError, ConsoleMode, WindowSize};
pub use directory::{Directory, DirectoryClient, FileAccess, Listing, Name, Usage};
pub use entropy::{Entropy, EntropyClient, EntropyError};
pub use file::{File, FileClient, FileError, FileKind, Stat, StreamMode};
pub use link::{Link, LinkClient, LinkError};
pub use loader::{ElfError, Loader, LoaderClient, Plan};
pub use log::{Log, LogClient, LogError, LogLevel, LogPage};
pub use net::{Net, NetClient, NetConfig, NetConfigClient, NetError};
pub use pipes::{Pipes, PipesClient};
pub use screen::{Screen, ScreenClient, ScreenError};
pub use sensor::{Reading, Sensor, SensorClient, SensorError};
pub use stream::{Stream, StreamClient, StreamError, StreamKind};
pub use virtio::{Virtio, VirtioClient, VirtioError, VirtioInfo, VirtioQueue};

// What the declarations find in their parent module, besides the above.
use crate::objects::EndpointClient;
use crate::{Lease, LeaseMut};
use libipc_abi::wire::Text;
use libipc_macros::{ErrorCode, Wire, interface};

/// Gives an error enum its one line of text for people.
macro_rules! describe {
    ($error:ident { $($variant:ident => $text:literal,)* }) => {
        impl core::fmt::Display for $error {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self { $($error::$variant => $text,)* })
            }
        }

        impl core::error::Error for $error {}
    };
}
use describe;
