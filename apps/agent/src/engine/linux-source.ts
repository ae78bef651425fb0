/** The file systems of this machine, as the backup engine reads them: one per thread. */
import { readSync } from 'node:fs';
import type { OwnerNames, Source, SourceAttribute, SourceVolume } from '@holdfast/archive';
import {
  closeDescriptor,
  compareNames,
  dataRanges,
  type Descriptor,
  getExtendedAttribute,
  listExtendedAttributes,
  openChildDirectory,
  openDirectory,
  openPlace,
  openRecorded,
  readDirectory,
  readLink,
  statAt,
  statDescriptor,
  volumeOf,
  withDescriptor,
} from '../filesystem/index.ts';
import { OwnerDirectory } from './owner-names.ts';

/** What `openRecorded` and the others need filled: the engine's attributes are a part of them. */
type Filled = Parameters<typeof statDescriptor>[1];

/** File systems that the kernel makes up or keeps in memory, by the magic number of statfs(2). */
const virtualMagics: ReadonlySet<number> = new Set([
  0x9fa0, // proc
  0x62656572, // sysfs
  0x01021994, // tmpfs, devtmpfs
  0x1cd1, // devpts
  0x27e0eb, // cgroup
  0x63677270, // cgroup2
  0x64626720, // debugfs
  0x74726163, // tracefs
  0x73636673, // securityfs
  0x6165676c, // pstore
  0xcafe4a11, // bpf
  0x19800202, // mqueue
  0x958458f6, // hugetlbfs
  0x62656570, // configfs
  0x42494e4d, // binfmt_misc
  0xde5e81e4, // efivarfs
  0x858458f6, // ramfs
  0x6e736673, // nsfs
  0x65735543, // fusectl
  0x67596969, // rpc_pipefs
]);

/** The source of this thread. `owners` names users and groups. */
export function createLinuxSource(owners: OwnerDirectory = new OwnerDirectory()): Source {
  return {
    openDirectory,
    openChildDirectory,
    names: readDirectory,
    statAt: (directoryFd, name, into) => statAt(directoryFd, name, into as Filled),
    statDescriptor: (fd, into) => statDescriptor(fd, into as Filled),
    openRecorded: (directoryFd, name, recorded, into) =>
      openRecorded(directoryFd, name, recorded as NonNullable<Filled>, into as Filled),
    read: (fd, into, position) => readSync(fd, into, 0, into.length, position),
    dataRanges,
    readLink,
    attributes: (directoryFd, name) => withDescriptor(openPlace(directoryFd, name), attributesOf),
    attributesOf,
    ownerNames: (uid, gid): OwnerNames => owners.namesOf(uid, gid),
    volumeOf: describeVolume,
    close: closeDescriptor,
  };
}

function attributesOf(fd: Descriptor): readonly SourceAttribute[] {
  const found: SourceAttribute[] = [];
  for (const name of listExtendedAttributes(fd)) {
    const value = getExtendedAttribute(fd, name);
    if (value) found.push({ name, value });
  }
  return found.length < 2 ? found : found.toSorted((a, b) => compareNames(a.name, b.name));
}

function describeVolume(fd: Descriptor): SourceVolume {
  const volume = volumeOf(fd);
  const { mount } = volume;
  const root = Buffer.from(mount?.root ?? '/').toString('latin1');
  // A bind mount shows a folder of its file system: the same paths mean other files there.
  const folder = root === '/' || volume.identity.includes('/') ? '' : `:${root}`;
  return {
    identifier: `${volume.identity}${folder}`.replaceAll('%', '%25').replaceAll('/', '%2f'),
    mountPoint: mount?.mountPoint ?? Buffer.from('/'),
    isVirtual: virtualMagics.has(volume.fileSystemMagic),
  };
}
