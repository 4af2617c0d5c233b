//! Files that survive the machine: written in the guest, read on the host, put in
//! by the host, read on a machine of the other architecture.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use xtask::arch::Arch;
use xtask::cli::{Disk, DiskAction};
use xtask::commands::disk;
use xtask::disk::DiskImage;
use xtask::machine::Device;
use xtask::workspace::{root, target};

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
$ ls /data
folder/      from/        lost+found/  shared/      softbus/
$ find /data/folder /data/from
/data/folder
/data/folder/motd
/data/from
/data/from/host
$ echo 'not lost' > /data/late
$ sleep 7
$ run --grant shutdown poweroff -f
";

/// The page gives the shell 1 MiB and ten files, of which it has three already.
const LIMITED: &str = "\
$ df /data
  USED   SIZE  YOURS  LIMIT  DIRECTORY
[..]M    24M    12K     1M  /data
$ dd if=@disk of=/data/large bs=64K count=20
...
dd: /data/large: no space left, or the quota is used up
$ df /data
  USED   SIZE  YOURS  LIMIT  DIRECTORY
[..]M    24M     1M     1M  /data
$ echo more > /data/more
[..]no space left, or the quota is used up
$ rm /data/large
$ cd /data; echo 1 > 1; echo 2 > 2; echo 3 > 3; echo 4 > 4; echo 5 > 5
$ echo 6 > 6; echo 7 > 7
7: too many files
$ cat 1 6
1
6
$ cd /; sync
$ run --grant shutdown poweroff
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

/// Boots twice on one disk, once with limits there, and once without any.
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
    limited(job, images, &data).context("the boot with limits")?;
    let action = DiskAction::Check { image: data };
    disk::disk(&Disk { action }).context("after the boot with limits")?;
    machine.devices.clear();
    talk(&machine, &image, THIRD).context("the boot without a disk")?;
    Ok(())
}

/// Boots with a shell that may own only so much of the disk.
fn limited(job: &Job, images: &Images, data: &Path) -> Result<()> {
    let folder = root().join("boot/systems");
    let standard = std::fs::read_to_string(folder.join("standard.toml"))?;
    let limits = "id = 1000, bytes = \"1M\", files = 10 }";
    let page = standard
        .replace("= \"files/", &format!("= \"{}/files/", folder.display()))
        .replace("id = 1000 }", limits);
    ensure!(page.contains(limits), "the page has no account to limit");
    let name = format!("{}-smp{}-limited", job.arch, job.smp);
    let system = target().join(format!("tessera/{name}.toml"));
    std::fs::write(&system, page)?;
    let (mut machine, image) = images.pack(job.arch, job.smp, &system, &name, |_| ())?;
    machine.devices[0] = Device::Disk {
        image: data.to_path_buf(),
        read_only: false,
    };
    talk(&machine, &image, LIMITED)
}
