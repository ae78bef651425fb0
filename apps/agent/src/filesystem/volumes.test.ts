import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { nameBytes, printableName } from './file-name.ts';
import { openDirectory, withDescriptor } from './open-relative.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { listMounts, mountHolding, parseMounts, volumeOf } from './volumes.ts';

const text = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard
40 27 0:40 /@home /home rw - btrfs /dev/sdb1 rw,subvolid=256,subvol=/@home
41 27 8:17 / /media/my\\040disk\\134\\012 ro,nosuid - vfat /dev/disk\\040one rw
42 27 0:55 / /srv rw - nfs4 host:/export ro,vers=4.2
43 27 0:56 / /emp rw - tmpfs  rw
not a mount
`;

test('the mounts of mountinfo are read with their escapes, optional fields and both kinds of read-only', () => {
  const mounts = parseMounts(nameBytes(text));
  assert.deepEqual(
    mounts.map((mount) => [mount.mountId, mount.device, printableName(mount.mountPoint), mount.source, mount.readOnly]),
    [
      [22, 21, '/proc', 'proc', false],
      [27, 254 * 0x10_0000, '/', '/dev/vda', false],
      [40, 40, '/home', '/dev/sdb1', false],
      [41, 8 * 0x10_0000 + 17, '/media/my disk\\\n', '/dev/disk one', true],
      [42, 55, '/srv', 'host:/export', true],
      [43, 56, '/emp', '', false],
    ],
  );
  assert.equal(printableName(mounts[2]?.root ?? new Uint8Array()), '/@home');
});

test('any bytes where mountinfo should be give mounts or none, never a crash', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => Array.isArray(parseMounts(bytes))));
  const line = text.split('\n')[3] ?? '';
  fc.assert(fc.property(fc.nat(line.length), (cut) => parseMounts(nameBytes(line.slice(0, cut))).length <= 1));
});

test('the mount that holds a path is the innermost whose name ends at a slash', () => {
  const mounts = parseMounts(nameBytes(text));
  const held = (path: string) => printableName(mountHolding(path, mounts)?.mountPoint ?? nameBytes('none'));
  assert.equal(held('/home'), '/home');
  assert.equal(held('/home/gone/x'), '/home');
  assert.equal(held('/homes'), '/');
  assert.equal(held('/srv/a'), '/srv');
  assert.equal(held('relative'), 'none');
});

test('a volume has the numbers that stat -f prints, and the same identity for every folder on it', (t) => {
  const path = temporaryFolder(t);
  const volume = withDescriptor(openDirectory(path), (fd) => volumeOf(fd));
  const printed = execFileSync('stat', ['-f', '-c', '%t %S %b', path], { encoding: 'utf8' }).trim();
  const [magic = '', blockBytes, blocks] = printed.split(' ');
  assert.equal(volume.fileSystemMagic, Number.parseInt(magic, 16));
  assert.equal(volume.totalBytes, Number(blockBytes) * Number(blocks));
  assert.ok(volume.availableBytes > 0 && volume.availableBytes <= volume.totalBytes);
  assert.ok(volume.mount);
  assert.ok(path.startsWith(printableName(volume.mount.mountPoint)));
  const other = withDescriptor(openDirectory(temporaryFolder(t)), (fd) => volumeOf(fd, listMounts()));
  assert.equal(other.identity, volume.identity);
  const proc = withDescriptor(openDirectory('/proc'), (fd) => volumeOf(fd));
  assert.equal(proc.identity, 'mount:proc:/proc');
  assert.equal(proc.fileSystemUuid, undefined);
});

const canMakeFileSystems =
  process.getuid?.() === 0 && ['/sbin/mkfs.ext4', '/usr/sbin/mkfs.ext4'].some((path) => existsSync(path));

test(
  'an ext4 file system is known by its UUID wherever it is mounted, and a tmpfs by its mount point',
  { skip: !canMakeFileSystems && 'needs root and mkfs.ext4' },
  (t) => {
    const path = temporaryFolder(t);
    const uuid = '01234567-89ab-cdef-0123-456789abcdef';
    const module = new URL('index.ts', import.meta.url).href;
    const print = `
      const { openDirectory, volumeOf } = await import(${JSON.stringify(module)});
      for (const path of process.argv.slice(1)) console.log(volumeOf(openDirectory(path)).identity);`;
    // In a mount namespace of its own, which takes the mounts with it.
    const script = `set -e
      cd "$1"; mkdir one two mem
      truncate -s 8M image; mkfs.ext4 -q -U ${uuid} image
      mount -o loop image one; "$2" --input-type=module -e "$3" "$1/one"; umount one
      mount -o loop image two; mount -t tmpfs none mem
      "$2" --input-type=module -e "$3" "$1/two" "$1/mem"`;
    const child = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', path, process.execPath, print], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    if (/loop device|failed to setup|unshare failed/i.test(child.stderr)) {
      t.skip(`no mounts here: ${child.stderr.trim()}`);
      return;
    }
    assert.equal(child.stdout, `uuid:${uuid}\nuuid:${uuid}\nmount:tmpfs:${path}/mem\n`, child.stderr);
  },
);
