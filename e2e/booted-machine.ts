import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { afterwards } from '@holdfast/testing';
import { until } from './process-tree.ts';

const rootDir = path.resolve(import.meta.dirname, '..');

/**
 * Makes namespaces into a machine and becomes its systemd. Everything below `/` is this machine's, read through an overlay;
 * what is written lies in memory and is gone at the end. The home folders are empty ones. The checkout is read-only.
 */
const boot = String.raw`
set -e
dir=$1; checkout=$2
mount -t tmpfs -o size=2g,mode=755 tmpfs "$dir"
overlay() { # lower, name, mount point
  mkdir -p "$dir/$2/upper" "$dir/$2/work"
  mount -t overlay -o "lowerdir=$1,upperdir=$dir/$2/upper,workdir=$dir/$2/work" overlay "$3"
}
root=$dir/root
mkdir "$root" "$dir/empty"
overlay / whole "$root"
mkdir -p "$root/home" "$root/root"
overlay "$dir/empty" home "$root/home"
overlay "$dir/empty" root-home "$root/root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mkdir -p "$root$checkout"
mount --bind "$checkout" "$root$checkout"
mount -o remount,bind,ro "$root$checkout"
# What would reach beyond these namespaces, or clean up folders that are not its own.
for unit in systemd-tmpfiles-setup systemd-tmpfiles-clean systemd-sysctl systemd-udevd systemd-timesyncd systemd-random-seed; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
done
cd "$root"
mkdir -p "$dir/root/.before"
pivot_root . .before
umount -l /.before
exec env -i container=holdfast-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=false
`;

/** What a command in the machine ended with. */
export type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

/** Why no machine can be booted here; undefined where it can. */
export function whyNoMachine(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync('/lib/systemd/systemd')) return 'there is no systemd here';
  const tried = spawnSync('unshare', [...namespaces, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { encoding: 'utf8' });
  if (tried.status !== 0) return `namespaces are refused here: ${tried.stderr.trim()}`;
  return cgroupRoot() === undefined ? 'there is no cgroup2 here' : undefined;
}

const namespaces = [
  '--cgroup',
  '--mount',
  '--pid',
  '--fork',
  '--uts',
  '--ipc',
  '--net',
  '--kill-child',
  '--propagation=private',
];

function cgroupRoot(): string | undefined {
  const places = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];
  return places.find(
    (place) => existsSync(path.join(place, 'cgroup.procs')) && existsSync(path.join(place, 'cgroup.controllers')),
  );
}

/** A systemd of its own, with its own processes, mounts, network and cgroups. */
export class BootedMachine {
  readonly #folder: string;
  readonly #cgroup: string;
  readonly #unshare: ChildProcess;
  #initPid = 0;
  log = '';

  private constructor() {
    this.#folder = mkdtempSync(path.join(tmpdir(), 'holdfast-machine-'));
    this.#cgroup = path.join(cgroupRoot()!, `holdfast-test-${process.pid}-${Date.now()}`);
    mkdirSync(this.#cgroup);
    // The shell enters the cgroup before it becomes what makes the namespaces: there it is the root.
    const enter = 'echo $$ > "$0/cgroup.procs"; exec unshare "$@"';
    const args = ['-c', enter, this.#cgroup, ...namespaces, 'sh', '-c', boot, 'boot', this.#folder, rootDir];
    this.#unshare = spawn('sh', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#unshare.stdout!, this.#unshare.stderr!])
      stream.on('data', (chunk: Buffer) => (this.log += chunk.toString()));
  }

  /** Boots; the machine is halted, and nothing of it is left, when the test has ended. */
  static async boot(t: TestContext): Promise<BootedMachine> {
    const machine = new BootedMachine();
    afterwards(t, () => machine.#halt());
    await until(() => machine.#isUp(), `the machine to boot: ${machine.log}`, 120_000);
    return machine;
  }

  #isUp(): boolean {
    if (this.#unshare.exitCode !== null) throw new Error(this.log);
    this.#initPid = childOf(this.#unshare.pid!) ?? 0;
    return this.#initPid > 0 && this.run('systemctl', 'is-active', 'basic.target').status === 0;
  }

  /** A path of the machine, as this process reaches it. */
  seen(file: string): string {
    return path.join('/proc', String(this.#initPid), 'root', file);
  }

  /** How to run a program on the machine, or only in its network. */
  enter(...only: readonly string[]): readonly string[] {
    return ['nsenter', `--target=${this.#initPid}`, ...(only.length > 0 ? only : ['--all']), '--'];
  }

  /** Runs a program on the machine, in its root folder, as root. */
  run(...command: readonly string[]): Ran {
    const environment = ['env', '-i', 'HOME=/root', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'];
    const [file, ...args] = [...this.enter(), 'sh', '-c', 'cd / && exec "$@"', 'run', ...environment, ...command];
    return spawnSync(file!, args, { encoding: 'utf8', timeout: 120_000, maxBuffer: 64 * 1024 * 1024 });
  }

  async #halt(): Promise<void> {
    if (this.#unshare.exitCode === null && this.#unshare.signalCode === null) {
      const gone = new Promise((resolve) => this.#unshare.once('exit', resolve));
      // The end of the first process is the end of all of them, and of the mounts.
      if (this.#initPid > 0) process.kill(this.#initPid, 'SIGKILL');
      else this.#unshare.kill('SIGKILL');
      await gone;
    }
    await until(() => this.#removeCgroup(this.#cgroup), 'the end of its cgroups');
    rmdirSync(this.#folder);
  }

  #removeCgroup(folder: string): boolean {
    try {
      for (const entry of readdirSync(folder, { withFileTypes: true }))
        if (entry.isDirectory()) this.#removeCgroup(path.join(folder, entry.name));
      rmdirSync(folder);
      return true;
    } catch {
      return !existsSync(folder);
    }
  }
}

function childOf(pid: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ');
    return Number(children[0]) || undefined;
  } catch {
    return undefined;
  }
}
