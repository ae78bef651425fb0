/** File systems and mounts: which volume a folder is on, and how to know it again after a restart. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { statDescriptor } from './attributes.ts';
import { nameBytes } from './file-name.ts';
import { fail, native, scratch, scratchView, structOffset } from './native.ts';
import type { Descriptor } from './open-relative.ts';

/** One line of `/proc/self/mountinfo`. */
export type Mount = {
  readonly mountId: number;
  /** As in `FileAttributes.device`. */
  readonly device: number;
  /** Which folder of the file system is mounted: `/`, or a subvolume or bind mount's folder. Raw bytes. */
  readonly root: Uint8Array;
  readonly mountPoint: Uint8Array;
  readonly fileSystem: string;
  /** A device, a server's share, or a word of the file system's. */
  readonly source: string;
  readonly readOnly: boolean;
  /** The file system's own options, comma-separated. */
  readonly options: string;
};

/** The volume an open file or folder is on. */
export type Volume = {
  readonly device: number;
  /** The magic number of statfs(2). */
  readonly fileSystemMagic: number;
  /** Its UUID where it has one that this process can learn; lower case with dashes. */
  readonly fileSystemUuid: string | undefined;
  /** What statfs gives as its identifier, as hexadecimal; stable on some file systems only. */
  readonly fileSystemId: string;
  readonly totalBytes: number;
  /** Free for an ordinary user. */
  readonly availableBytes: number;
  /** The mount it was reached through, where /proc tells. */
  readonly mount: Mount | undefined;
  /**
   * The same after a restart and under another mount point or device letter: the UUID (with the subvolume where there
   * is one), else the share or device, else for what lives in memory the mount point.
   */
  readonly identity: string;
};

/** Describes the volume of an open descriptor. `mounts` saves reading the list again when many are asked for. */
export function volumeOf(fd: Descriptor, mounts: readonly Mount[] = listMounts()): Volume {
  const { device, mountId } = statDescriptor(fd);
  const statistics = statisticsOf(fd);
  const mount =
    mounts.find((each) => each.mountId === mountId) ?? mounts.findLast((each) => each.device === device) ?? undefined;
  // A file system in memory has a new UUID at every mount, so nothing would ever be known again by it.
  const inMemory = statistics.fileSystemMagic === tmpfsMagic;
  const fileSystemUuid = inMemory ? undefined : (uuidByKernel(fd, statistics.fileSystemMagic) ?? uuidByDevice(mount));
  return { device, ...statistics, fileSystemUuid, mount, identity: identityOf(fileSystemUuid, mount, device) };
}

/** All mounts this process sees, in the order they were made. Empty where /proc is not there. */
export function listMounts(): readonly Mount[] {
  try {
    return parseMounts(readFileSync('/proc/self/mountinfo'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Reads the format of proc_pid_mountinfo(5); a line that is not of it is left out. */
export function parseMounts(text: Uint8Array): readonly Mount[] {
  return Buffer.from(text)
    .toString('latin1')
    .split('\n')
    .map(parseMount)
    .filter((mount) => mount !== undefined);
}

/** Number, parent, device, root, mount point, options, optional fields, then after a dash: type, source, its own options. */
const mountLine = /^(\d+) \d+ (\d+):(\d+) (\S+) (\S+) (\S+)(?: \S+)* - (\S+) (\S*) ?(\S*)$/;

function parseMount(line: string): Mount | undefined {
  const fields = mountLine.exec(line);
  if (fields === null) return undefined;
  const field = (place: number) => fields[place] ?? '';
  return {
    mountId: Number(field(1)),
    device: Number(field(2)) * 0x10_0000 + Number(field(3)),
    root: unescape(field(4)),
    mountPoint: unescape(field(5)),
    readOnly: [field(6), field(9)].some((list) => list.split(',').includes('ro')),
    fileSystem: field(7),
    source: Buffer.from(unescape(field(8))).toString(),
    options: field(9),
  };
}

/** Space, tab, newline and backslash stand as a backslash and three octal digits. */
function unescape(field: string): Uint8Array {
  const text = field.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** Offsets are those of `struct statfs` on 64-bit machines. */
function statisticsOf(
  fd: Descriptor,
): Pick<Volume, 'fileSystemMagic' | 'fileSystemId' | 'totalBytes' | 'availableBytes'> {
  const { libc, address } = native();
  if (libc.fstatfs(fd, address + structOffset) !== 0) fail('fstatfs');
  const field = (offset: number) => Number(scratchView.getBigUint64(structOffset + offset, true));
  const blockBytes = field(8);
  const idBytes = scratch.slice(structOffset + 56, structOffset + 64);
  return {
    fileSystemMagic: field(0),
    fileSystemId: Buffer.from(idBytes).toString('hex'),
    totalBytes: field(16) * blockBytes,
    availableBytes: field(32) * blockBytes,
  };
}

/** FS_IOC_GETFSUUID of linux/fs.h, since Linux 6.9: a length byte, then the bytes. */
const getUuid = { request: 0x8011_1500, headerBytes: 1 };
/** EXT4_IOC_GETFSUUID, since Linux 6.0: a 32-bit length and flags, then the bytes. Some kernels answer the newer call with zeros. */
const getExt4Uuid = { request: 0x8008_662c, headerBytes: 8 };
const ext4Magic = 0xef53;
const tmpfsMagic = 0x0102_1994;
const uuidBytes = 16;

function uuidByKernel(fd: Descriptor, fileSystemMagic: number): string | undefined {
  return askUuid(fd, getUuid) ?? (fileSystemMagic === ext4Magic ? askUuid(fd, getExt4Uuid) : undefined);
}

function askUuid(fd: Descriptor, call: typeof getUuid): string | undefined {
  const { libc, address } = native();
  const start = structOffset + call.headerBytes;
  scratch.fill(0, structOffset, start + uuidBytes);
  // The length tells the older call how much room there is, and is what both answer.
  scratch[structOffset] = uuidBytes;
  if (libc.ioctl(fd, call.request, address + structOffset) !== 0 || scratch[structOffset] !== uuidBytes)
    return undefined;
  const uuid = Buffer.from(scratch.slice(start, start + uuidBytes)).toString('hex');
  // A file system made without one answers with zeros.
  if (/^0+$/.test(uuid)) return undefined;
  return uuid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

const uuidLinks = '/dev/disk/by-uuid';

/** By udev's links, for older kernels: those name the block device the file system was mounted from. */
function uuidByDevice(mount: Mount | undefined): string | undefined {
  if (mount?.source.startsWith('/') !== true) return undefined;
  try {
    const { rdev } = statSync(mount.source);
    const found = readdirSync(uuidLinks).find((name) => statSync(`${uuidLinks}/${name}`).rdev === rdev);
    return found?.toLowerCase();
  } catch {
    // No udev, or a source that is not in this namespace: then there is no UUID to be had this way.
    return undefined;
  }
}

function identityOf(uuid: string | undefined, mount: Mount | undefined, device: number): string {
  const subvolume = /(?:^|,)subvolid=(\d+)/.exec(mount?.options ?? '')?.[1];
  if (uuid !== undefined) return subvolume === undefined ? `uuid:${uuid}` : `uuid:${uuid}/${subvolume}`;
  if (mount === undefined) return `device:${device}`;
  if (/[/:]/.test(mount.source)) return `source:${mount.fileSystem}:${mount.source}`;
  const mountPoint = Buffer.from(mount.mountPoint).toString('latin1');
  return `mount:${mount.fileSystem}:${mountPoint}`;
}

/** The innermost mount whose mount point is `path` or holds it: where a path that is gone used to be, or will be. */
export function mountHolding(path: string | Uint8Array, mounts: readonly Mount[] = listMounts()): Mount | undefined {
  const bytes = typeof path === 'string' ? nameBytes(path) : path;
  let best: Mount | undefined;
  for (const mount of mounts) {
    if (holds(mount.mountPoint, bytes) && mount.mountPoint.length >= (best?.mountPoint.length ?? 0)) best = mount;
  }
  return best;
}

function holds(mountPoint: Uint8Array, path: Uint8Array): boolean {
  if (mountPoint.length === 1) return path[0] === 0x2f;
  if (mountPoint.some((byte, i) => path[i] !== byte)) return false;
  return path.length === mountPoint.length || path[mountPoint.length] === 0x2f;
}
