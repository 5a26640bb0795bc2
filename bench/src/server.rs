//! The process that is measured.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use runtime::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};

use crate::http::Connection;

pub struct Server {
    child: Mutex<Child>,
    pid: u32,
    pub host: String,
}

impl Server {
    /// Starts `sealog up` with its data in `folder`, and waits until it listens.
    pub fn start(sealog: &Path, folder: &Path) -> Result<Server> {
        let mut command = Command::new(sealog);
        command.args(["up", "--data"]).arg(folder);
        Server::run(command)
    }

    /// Starts any of the commands that run on, on a free port, and waits until it is up.
    pub fn run(mut command: Command) -> Result<Server> {
        command.args(["--listen", "127.0.0.1:0"]).env("SEALOG_LOG", "warn");
        let program = Path::new(command.get_program()).display().to_string();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{program}: build it first with `cargo build --release`"))?;
        let stdout = child.stdout.take().context("no output")?;
        let mut host = None;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
            if let Some(url) = url {
                host = url.split('/').next().map(str::to_owned);
                break;
            }
        }
        let pid = child.id();
        Ok(Server { pid, child: Mutex::new(child), host: host.context("it did not say where it listens")? })
    }

    /// What it holds now, and its threads.
    #[cfg(feature = "kafka")]
    pub fn mib_and_threads(&self) -> Result<(f64, u64)> {
        Ok((self.status("VmRSS:")? / 1024.0, self.status("Threads:")? as u64))
    }

    fn status(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
        Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
    }

    /// The sum over all chains of one metric.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let text = Connection::open(&self.host)?.get("/metrics")?;
        let lines = text.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// The most memory that it ever held.
    pub fn peak_mib(&self) -> Result<f64> {
        Ok(self.status("VmHWM:")? / 1024.0)
    }

    /// The processor time that it has used.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let behind_name = stat.rsplit(')').next().context("no stat")?;
        let ticks: Vec<f64> =
            behind_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse().ok()).collect();
        Ok(ticks.iter().sum::<f64>() / 100.0)
    }

    /// Stops it as Ctrl-C does; seconds until it ended.
    pub fn stop(&self) -> Result<f64> {
        let start = SystemClock.boot().0;
        kill_process(Pid::from_raw(self.pid as i32).context("no process")?, Signal::INT)?;
        let status = self.child.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.wait()?;
        ensure!(status.success(), "sealog up ended with {status}");
        Ok((SystemClock.boot().0 - start) as f64 / 1e6)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(mut child) = self.child.lock() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What the verifier says of what came out, and how long it took.
pub fn verify(sealog: &Path, folder: &Path) -> Result<String> {
    let start = SystemClock.boot().0;
    let output = Command::new(sealog).arg("verify").arg(folder.join("archive")).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let verdict = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    Ok(format!("verify   {:.2} s: {verdict}\n", (SystemClock.boot().0 - start) as f64 / 1e6))
}
