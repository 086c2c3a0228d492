//! A disk that fills up under the ledger: nothing goes unrecorded, and what is in it stays.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::client::{Reply, messages, once};
use crate::gateway::{Engine, Folder, Gateway, KEY, config, for_each_engine, tollgate};
use crate::ledger::verified;
use crate::peer::{Peer, scripted_upstream};
use crate::program::eventually;

const SOON: Duration = Duration::from_secs(20);

/// A file system of 96 MiB in memory over the data folder of a gateway, in a mount namespace that a sleeping
/// process keeps open.
struct SmallDisk(Child);

impl SmallDisk {
    /// Nothing, and a warning, where the kernel lets nobody make one.
    fn new(folder: &Folder) -> Option<Self> {
        let mount = "mount -t tmpfs -o size=96m none data && touch data/ready && exec sleep 600";
        fs::create_dir_all(folder.join("data")).expect("the build folder can be written");
        let child = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", mount])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .spawn();
        let mut disk = match child {
            Ok(child) => Self(child),
            Err(why) => {
                eprintln!("WARNING: there is no `unshare` ({why}); a full disk is not tested");
                return None;
            }
        };
        let mut made = false;
        eventually("there is a small disk, or none can be had", SOON, || {
            made = disk.path(folder).join("ready").exists();
            made || disk.0.try_wait().expect("a child can be waited for").is_some()
        });
        if !made {
            eprintln!("WARNING: no file system can be mounted here; a full disk is not tested");
        }
        made.then_some(disk)
    }

    /// Where it is for everybody else.
    fn path(&self, folder: &Folder) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}/data", self.0.id(), folder.path().display()))
    }

    /// The program where the disk is seen.
    fn tollgate(&self, folder: &Folder) -> Command {
        let program = tollgate(folder.path());
        let start = format!("cd {:?} && exec {:?}", folder.path(), program.get_program());
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string()]);
        command.args(["--user", "--mount", "--preserve-credentials", "sh", "-c", &start]).env_clear();
        command.env("HOME", folder.path()).env("PATH", "/usr/bin:/bin");
        command
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A gateway whose data folder is on a small disk, and a file there that is to fill it.
struct Scene {
    gateway: Gateway,
    upstream: Peer,
    disk: SmallDisk,
    ballast: PathBuf,
}

impl Scene {
    fn new(engine: Engine, more: &str) -> Option<Self> {
        let folder = Folder::new();
        let upstream = scripted_upstream::plain();
        folder.write("tollgate.yaml", &config(engine, &upstream.url(), more));
        let disk = SmallDisk::new(&folder)?;
        let ballast = disk.path(&folder).join("ballast");
        let gateway = Gateway::run(&mut disk.tollgate(&folder), folder);
        Some(Self { gateway, upstream, disk, ballast })
    }

    fn ask(&self) -> Reply {
        once(self.gateway.addr(), &messages(KEY, "claude-any", false))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = File::create(&self.ballast).expect("there is room at first");
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Makes room again.
    fn empty(&self) {
        fs::remove_file(&self.ballast).expect("it is there");
    }

    /// Stops the gateway, and looks whether each of these calls is in the ledger once.
    #[track_caller]
    fn all_are_there(mut self, answered: &[String]) {
        self.gateway.signal("TERM");
        let status = self.gateway.wait(SOON);
        assert_eq!(status.code(), Some(0), "{}", self.gateway.log().text());
        // To where the other commands see it.
        let folder = self.gateway.folder();
        let copied = Command::new("cp").arg("-r").arg(self.disk.path(folder)).arg(folder.path()).status();
        assert!(copied.is_ok_and(|status| status.success()), "the data can be copied");
        let entries = verified(&self.gateway);
        let mut count: HashMap<&str, usize> = HashMap::new();
        for entry in &entries {
            *count.entry(entry["id"].as_str().expect("an id")).or_default() += 1;
        }
        for id in answered {
            assert_eq!(count.get(id.as_str()), Some(&1), "{id} of {} calls: {entries:#?}", answered.len());
        }
    }
}

/// The id of an answer.
fn id(reply: &Reply) -> String {
    reply.header("x-tollgate-request-id").expect("each answer has an id").to_owned()
}

#[test]
fn calls_are_refused_while_they_cannot_be_recorded() {
    for_each_engine(|engine| {
        let Some(scene) = Scene::new(engine, "") else { return };
        let mut answered: Vec<String> = (0..5).map(|_| id(&scene.ask())).collect();
        scene.fill();
        let mut refused = None;
        eventually("a call is refused", SOON, || {
            let reply = scene.ask();
            if reply.head.status == 200 {
                answered.push(id(&reply));
            } else {
                refused = Some(reply);
            }
            refused.is_some()
        });
        let refused = refused.expect("one was refused");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        let told = refused.refusal(503, "overloaded_error");
        assert!(told.contains("record"), "{told}");
        assert_eq!(scene.upstream.seen().len(), answered.len(), "what is refused never goes out");

        scene.empty();
        eventually("calls are answered again", SOON, || {
            let reply = scene.ask();
            if reply.head.status == 200 {
                answered.push(id(&reply));
            }
            reply.head.status == 200
        });
        scene.all_are_there(&answered);
    });
}

#[test]
fn who_wants_to_be_served_all_the_same_is() {
    for_each_engine(|engine| {
        let Some(scene) = Scene::new(engine, "ledger: { on_full: serve }") else { return };
        let mut answered = vec![id(&scene.ask())];
        scene.fill();
        for _ in 0..100 {
            let reply = scene.ask();
            assert_eq!(reply.head.status, 200, "{reply:?}");
            answered.push(id(&reply));
        }
        scene.empty();
        scene.all_are_there(&answered);
    });
}
