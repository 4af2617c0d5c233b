//! Calls to another task, and what is no call.

use core::{hint::black_box, time::Duration};
use libipc::{
    Capability, PAGE,
    client::Borrowed,
    handle::{Handle, ObjectType, Rights},
    objects::EndpointClient,
    start::AnyError,
};
use tessera_bench::{TIMES, TargetClient};

use crate::{
    World,
    measure::{Measured, busy, repeat},
};

pub(crate) fn refused(_: &World) -> Measured {
    let nobody = Handle::new(0xf_ffff, Rights::SIGNAL, ObjectType::Endpoint, 7);
    let nobody = Borrowed::<EndpointClient>::new(nobody);
    repeat(TIMES, || match nobody.signal(1) {
        Err(_) => Ok(()),
        Ok(()) => Err(AnyError::new("it was not refused")),
    })
}

pub(crate) fn call_2w(world: &World) -> Measured {
    let (one, two) = (black_box(1), black_box(2));
    repeat(TIMES, || {
        world.target.add(one, two)?;
        Ok(())
    })
}

pub(crate) fn call_2w_fp(world: &World) -> Measured {
    let mut number = 1.5_f64;
    let one = black_box(1.0_f64).to_bits();
    repeat(TIMES, || {
        let factor = (number * 1.000_1).to_bits();
        number = f64::from_bits(world.target.multiply(factor, one)?);
        Ok(())
    })
}

pub(crate) fn call_8w(world: &World) -> Measured {
    let words = black_box([1, 2, 3, 4, 5, 6, 7, 8]);
    repeat(TIMES, || {
        world.target.add_8(words)?;
        Ok(())
    })
}

pub(crate) fn call_32w(world: &World) -> Measured {
    let words = black_box(core::array::from_fn(|index| index as u64));
    repeat(TIMES, || {
        world.target.add_32(words)?;
        Ok(())
    })
}

pub(crate) fn lease_4k(world: &World) -> Measured {
    let mut page = [7; PAGE];
    repeat(TIMES, || Ok(world.target.load(black_box(&mut page))?))
}

/// There in one call, back in the next.
pub(crate) fn call_cap(world: &World) -> Measured {
    let endpoint = libipc::task().create_endpoint()?;
    let mut capability = Some(Capability::from(endpoint));
    let (times, taken) = repeat(TIMES / 2, || {
        world.target.give(
            capability
                .take()
                .ok_or_else(|| AnyError::new("it is gone"))?,
        )?;
        capability = Some(world.target.take()?);
        Ok(())
    })?;
    Ok((2 * times, taken))
}

pub(crate) fn call_kept(world: &World) -> Measured {
    repeat(TIMES, || {
        black_box(world.target.later(black_box(1))?);
        Ok(())
    })
}

/// Nobody serves the endpoint. The time that the machine idles is not counted.
pub(crate) fn call_timeout(world: &World) -> Measured {
    let timeout = Duration::from_micros(100);
    let endpoint = libipc::task().create_endpoint()?;
    let client = endpoint
        .mint_client::<TargetClient>(1)?
        .with_timeout(timeout);
    busy(world, TIMES / 8, || match client.add(1, 2) {
        Err(_) => Ok(()),
        Ok(_) => Err(AnyError::new("somebody answered")),
    })
}
