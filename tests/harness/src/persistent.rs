//! Files that survive the machine: written in the guest, read on the host, put in
//! by the host, read on a machine of the other architecture.

use anyhow::{Context, Result, bail, ensure};
use xtask::arch::Arch;
use xtask::cli::{Disk, DiskAction};
use xtask::commands::disk;
use xtask::disk::DiskImage;
use xtask::machine::Device;
use xtask::workspace::root;

use crate::images::Images;
use crate::plan::Job;
use crate::session::talk;

const FIRST: &str = "\
$ ls /
boot/  data/  tmp/
$ mkdir /data/folder
$ cat /boot/motd > /data/folder/motd
$ echo 'first' > /data/first
$ echo 'and again' >> /data/first
$ mv /data/first /data/renamed
$ stat /data/renamed /data /tmp
/data/renamed: file of 16 bytes, changed 20[..] UTC
/data: directory, changed 20[..] UTC
/tmp: directory
$ rm /boot/motd
rm: [..]
$ df
...
[..] /data
...
$ run --grant shutdown poweroff
";

const SECOND: &str = "\
$ cat /data/renamed
first
and again
$ cat /data/from/host
put in by the host
$ stat /data/renamed
/data/renamed: file of 16 bytes, changed 20[..] UTC
$ cat /data/folder/motd
Welcome to[..]
$ rm /data/renamed
$ find /data
/data
/data/folder
/data/folder/motd
/data/from
/data/from/host
/data/lost+found
$ echo 'not lost' > /data/late
$ sleep 7
$ run --grant shutdown poweroff -f
";

const THIRD: &str = "\
$ ls /data
ls: /data: no disk that can be used is there
$ lsblk
NAME  SIZE  ACCESS  TYPE  CONTENT  USED BY  LABEL
$ echo hi > /tmp/x
$ cat /tmp/x
hi
$ run --grant shutdown poweroff
";

/// Boots twice on one disk, and once without any.
pub fn run(job: &Job, images: &Images) -> Result<()> {
    let system = root().join("boot/systems/standard.toml");
    let name = format!("{}-smp{}-persistent", job.arch, job.smp);
    let (machine, image) = images.pack(job.arch, job.smp, &system, &name, |_| ())?;
    let Some(Device::Disk { image: data, .. }) = machine.devices.first().cloned() else {
        bail!("the system has no disk");
    };
    talk(&machine, &image, FIRST).context("the first boot")?;

    let action = DiskAction::Check {
        image: data.clone(),
    };
    disk::disk(&Disk { action }).context("between the boots")?;
    let mut host = DiskImage::open(&data)?;
    let motd = std::fs::read(root().join("boot/systems/files/motd"))?;
    ensure!(host.get("folder/motd")? == motd, "other bytes on the host");
    host.put("from/host", b"put in by the host\n")?;
    host.close()?;

    let other = Arch::ALL.into_iter().find(|arch| *arch != job.arch);
    let other = other.unwrap_or(job.arch);
    let name = format!("{name}-on-{other}");
    let (mut machine, image) = images.pack(other, job.smp, &system, &name, |_| ())?;
    machine.devices[0] = Device::Disk {
        image: data.clone(),
        read_only: false,
    };
    talk(&machine, &image, SECOND).context("the second boot")?;
    let action = DiskAction::Check {
        image: data.clone(),
    };
    disk::disk(&Disk { action }).context("after the second boot")?;
    let late = DiskImage::open(&data)?.get("late");
    let late = late.context("what was written long before the power failed")?;
    ensure!(
        late == b"not lost\n",
        "other bytes of what was written last"
    );
    machine.devices.clear();
    talk(&machine, &image, THIRD).context("the boot without a disk")?;
    Ok(())
}
