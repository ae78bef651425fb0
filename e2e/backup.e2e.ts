import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { contentOf, isFuzzy, parseSetSetting, setSetting } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import { newDevice } from '@holdfast/agent/engine/testing';

function write(file: string, content: string | Uint8Array): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
}

/** Bytes that no compressor shortens, the same for the same seed. */
function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE((state ^ (state >>> 15)) >>> 0, at);
  }
  return bytes;
}

test('five edits are five versions, each as it was', async (t) => {
  const { device, tree } = newDevice(t);
  const file = path.join(tree, 'report.txt');
  const heads: number[] = [];
  for (let edit = 1; edit <= 5; edit++) {
    write(file, `edition ${edit}`);
    heads.push((await device.backup(tree)).head);
  }
  for (const [at, head] of heads.entries()) {
    const row = (await device.listing(head)).get(file);
    assert.equal(Buffer.from(await device.contentOf(row!)).toString(), `edition ${at + 1}`);
  }
});

test('an unchanged tree is not read again and makes no commit', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'a/one'), 'one');
  write(path.join(tree, 'b/two'), noise(300_000, 2));
  device.aheadSeconds = 60;
  const first = await device.backup(tree);
  const second = await device.backup(tree);
  assert.deepEqual([second.changedNames, second.readBytes, second.sentBytes], [0, 0, 0]);
  assert.equal(second.head, first.head);
});

test('what changed just before it was read is read again, and an equal row is not put again', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'one'), 'one');
  await device.backup(tree);
  const second = await device.backup(tree);
  assert.deepEqual([second.changedNames, second.readBytes, second.newBytes], [0, 3, 0]);
});

test('equal files are stored once, in one backup and in the next', async (t) => {
  const { device, tree } = newDevice(t);
  const content = noise(2_000_000, 7);
  write(path.join(tree, 'first'), content);
  const first = await device.backup(tree);
  write(path.join(tree, 'deep/second'), content);
  const second = await device.backup(tree);
  assert.ok(first.newBytes >= content.length);
  assert.equal(second.newBytes, 0);
  const row = (await device.listing()).get(path.join(tree, 'deep/second'));
  assert.deepEqual(Buffer.from(await device.contentOf(row!)), content);
});

test('a change in the middle of a large file sends a few blocks', async (t) => {
  const { device, tree } = newDevice(t);
  const content = noise(16 * 1024 * 1024, 3);
  write(path.join(tree, 'large'), content);
  await device.backup(tree);
  const changed = Buffer.concat([content.subarray(0, 5_000_000), Buffer.from('inserted'), content.subarray(5_000_000)]);
  write(path.join(tree, 'large'), changed);
  const report = await device.backup(tree);
  assert.ok(report.newBytes < 2_000_000, `${report.newBytes} new bytes`);
  const row = (await device.listing()).get(path.join(tree, 'large'));
  assert.deepEqual(Buffer.from(await device.contentOf(row!)), changed);
});

test('a renamed folder of 10,000 files sends no data and three rows', async (t) => {
  const { device, tree } = newDevice(t);
  for (let at = 0; at < 10_000; at++) write(path.join(tree, 'old', `${at % 10}`, `file ${at}`), `content ${at}`);
  device.aheadSeconds = 60;
  await device.backup(tree);
  fs.renameSync(path.join(tree, 'old'), path.join(tree, 'new'));
  const report = await device.backup(tree);
  // The parent's own row says that its times changed; the three others are the renaming.
  assert.deepEqual([report.newBytes, report.readBytes, report.changedNames], [0, 0, 4]);
  const listing = await device.listing();
  assert.equal([...listing.keys()].filter((name) => name.startsWith(path.join(tree, 'new/'))).length, 10_010);
  assert.ok(![...listing.keys()].some((name) => name.startsWith(path.join(tree, 'old'))));
});

test('two folders that change places keep their files', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'a/x'), 'of a');
  write(path.join(tree, 'b/y'), 'of b');
  await device.backup(tree);
  fs.renameSync(path.join(tree, 'a'), path.join(tree, 'swap'));
  fs.renameSync(path.join(tree, 'b'), path.join(tree, 'a'));
  fs.renameSync(path.join(tree, 'swap'), path.join(tree, 'b'));
  await device.backup(tree);
  const names = [...(await device.listing()).keys()].filter((name) => name.startsWith(`${tree}/`)).toSorted();
  assert.deepEqual(
    names,
    ['a', 'a/y', 'b', 'b/x'].map((name) => path.join(tree, name)),
  );
});

test('a folder that is deleted and comes back shows only what it has now, and its past where it was', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'd/kept'), '1');
  write(path.join(tree, 'd/lost'), '2');
  const before = await device.backup(tree);
  fs.rmSync(path.join(tree, 'd'), { recursive: true });
  const without = await device.backup(tree);
  write(path.join(tree, 'd/kept'), '3');
  await device.backup(tree);
  const below = async (commit?: number) =>
    [...(await device.listing(commit)).keys()].filter((name) => name.startsWith(path.join(tree, 'd'))).length;
  assert.deepEqual([await below(before.head), await below(without.head), await below()], [3, 0, 2]);
});

test('a file and a folder replace each other under one name', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'name'), 'file');
  await device.backup(tree);
  fs.rmSync(path.join(tree, 'name'));
  write(path.join(tree, 'name/inside'), 'folder');
  await device.backup(tree);
  assert.equal((await device.listing()).get(path.join(tree, 'name'))?.type, 'directory');
  assert.ok((await device.listing()).has(path.join(tree, 'name/inside')));
  fs.rmSync(path.join(tree, 'name'), { recursive: true });
  write(path.join(tree, 'name'), 'file again');
  await device.backup(tree);
  assert.equal((await device.listing()).get(path.join(tree, 'name'))?.type, 'file');
  assert.ok(!(await device.listing()).has(path.join(tree, 'name/inside')));
});

test('an include that is not there is said, and nothing about it changes', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'there/file'), '1');
  write(path.join(tree, 'away/file'), '2');
  const includes = [path.join(tree, 'there'), path.join(tree, 'away')];
  assert.deepEqual((await device.backup(includes)).missing, []);
  fs.renameSync(path.join(tree, 'away'), path.join(device.folder, 'elsewhere'));
  const report = await device.backup(includes);
  assert.deepEqual(
    report.missing.map(({ path: missing, reason }) => [Buffer.from(missing).toString(), reason]),
    [[path.join(tree, 'away'), 'missing']],
  );
  assert.ok((await device.listing()).has(path.join(tree, 'away/file')));
  assert.ok((await device.listing()).has(path.join(tree, 'there/file')));
});

test('what leaves the selection is absent, and says that it was not deleted', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'a/file'), '1');
  write(path.join(tree, 'cache/file'), '2');
  const first = await device.backup(tree);
  const excludes = [{ pattern: 'cache', reason: 'it can be made again' }];
  await device.backup(tree, { sets: [{ number: 1, name: 'everything', includes: [tree], excludes }] });
  assert.ok(!(await device.listing()).has(path.join(tree, 'cache/file')));
  assert.ok((await device.listing(first.head)).has(path.join(tree, 'cache/file')));
  assert.ok((await device.listing()).has(path.join(tree, 'a/file')));
});

test('hard links are one file, read once, and change in one commit', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'a/one'), noise(200_000, 5));
  fs.mkdirSync(path.join(tree, 'b'));
  fs.linkSync(path.join(tree, 'a/one'), path.join(tree, 'b/two'));
  const report = await device.backup(tree);
  const names = ['a/one', 'b/two'].map((name) => path.join(tree, name));
  const groups = async () => names.map(async (name) => (await device.listing()).get(name)?.linkGroup);
  const [one, two] = await Promise.all(await groups());
  assert.ok(one !== undefined && one === two);
  assert.equal(report.readBytes, 200_000);
  fs.writeFileSync(names[0]!, noise(200_001, 6));
  const second = await device.backup(names[0]!.replace('/a/one', ''), {
    directories: [Buffer.from(path.join(tree, 'a'))],
  });
  const listing = await device.listing();
  for (const name of names) assert.equal(contentOf(listing.get(name)!)?.size, 200_001);
  assert.equal(second.head, report.head + 1);
});

test('symbolic links and pipes with several names are one, too', async (t) => {
  const { device, tree } = newDevice(t);
  fs.symlinkSync('nowhere', path.join(tree, 'link'));
  fs.linkSync(path.join(tree, 'link'), path.join(tree, 'link again'));
  spawnSync('mkfifo', [path.join(tree, 'pipe')]);
  fs.linkSync(path.join(tree, 'pipe'), path.join(tree, 'pipe again'));
  await device.backup(tree);
  const listing = await device.listing();
  const group = (name: string) => listing.get(path.join(tree, name))?.linkGroup;
  assert.ok(group('link') !== undefined && group('link') === group('link again'));
  assert.ok(group('pipe') !== undefined && group('pipe') === group('pipe again'));
  assert.notEqual(group('link'), group('pipe'));
});

test('a sparse file keeps its holes', async (t) => {
  const { device, tree } = newDevice(t);
  const file = path.join(tree, 'sparse');
  const fd = fs.openSync(file, 'w');
  fs.writeSync(fd, noise(100_000, 9), 0, 100_000, 50_000_000);
  fs.ftruncateSync(fd, 300_000_000);
  fs.closeSync(fd);
  const report = await device.backup(tree);
  assert.ok(report.readBytes < 300_000, `${report.readBytes} bytes read`);
  const row = (await device.listing()).get(file);
  const content = await device.contentOf(row!);
  assert.equal(content.length, 300_000_000);
  assert.deepEqual(Buffer.from(content.subarray(50_000_000, 50_100_000)), noise(100_000, 9));
});

test('a file longer than a range comes back from its pieces', async (t) => {
  const { device, tree } = newDevice(t);
  const content = noise(150 * 1024 * 1024 + 17, 11);
  write(path.join(tree, 'long'), content);
  await device.backup(tree);
  const row = (await device.listing()).get(path.join(tree, 'long'));
  assert.equal(Buffer.compare(await device.contentOf(row!), content), 0);
});

test('a destination that fails ends the backup with its error, and the next goes on', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'data'), noise(40 * 1024 * 1024, 13));
  device.destination.failFrom = 3;
  await assert.rejects(device.backup(tree), /told to fail/);
  device.destination.failFrom = Number.POSITIVE_INFINITY;
  device.index.dropUnacknowledged();
  const report = await device.backup(tree);
  assert.deepEqual(report.problems, []);
  const row = (await device.listing()).get(path.join(tree, 'data'));
  assert.equal(Buffer.compare(await device.contentOf(row!), noise(40 * 1024 * 1024, 13)), 0);
});

test('a backup that is stopped says so, and the next goes on', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'data'), noise(100 * 1024 * 1024, 17));
  const controller = new AbortController();
  const stopping = device.backup(tree, { signal: controller.signal, onProgress: () => controller.abort() });
  await assert.rejects(stopping, (error) => error instanceof CodedError && error.code === 'backup.stopped');
  await device.backup(tree);
  assert.ok((await device.listing()).has(path.join(tree, 'data')));
});

test('a file that changes each time it is read is stored and said to be fuzzy; one that holds still is not', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'still'), noise(80 * 1024 * 1024, 19));
  write(path.join(tree, 'grows'), noise(80 * 1024 * 1024, 23));
  const timer = setInterval(() => fs.appendFileSync(path.join(tree, 'grows'), 'more'), 5);
  try {
    await device.backup(tree);
  } finally {
    clearInterval(timer);
  }
  const listing = await device.listing();
  assert.equal(isFuzzy(listing.get(path.join(tree, 'grows'))!), true);
  assert.equal(isFuzzy(listing.get(path.join(tree, 'still'))!), false);
});

test('many commits fold into a tree that says the same', async (t) => {
  const { device, tree } = newDevice(t);
  for (let at = 0; at < 30_000; at++) write(path.join(tree, `${at % 100}`, `${at}`), '');
  const report = await device.backup(tree);
  assert.ok(device.index.head().checkpoint > 0, 'a checkpoint was written');
  const listing = await device.listing(report.head);
  assert.equal([...listing.values()].filter((row) => row.type === 'file').length, 30_000);
});

test('each directory is announced before it is looked at, and settings come with the last commit', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'a/b/file'), '1');
  const announced: string[] = [];
  const definition = '{"includes":["/x"]}';
  await device.backup(tree, {
    settings: [setSetting(3, { name: 'Ä', definition })],
    onDirectory: ({ place }) => {
      const at = Buffer.concat(place.names.map((name) => Buffer.from(`/${Buffer.from(name).toString()}`))).toString();
      announced.push(at);
      if (at.endsWith('/tree/a')) write(path.join(tree, 'a/written when announced'), '2');
    },
  });
  for (const below of ['/tree', '/tree/a', '/tree/a/b']) assert.ok(announced.some((at) => at.endsWith(below)));
  assert.ok((await device.listing()).has(path.join(tree, 'a/written when announced')));
  const value = await device.state().setting('set/3');
  assert.deepEqual(parseSetSetting(value!), { name: 'Ä', definition });
});

test('a name that is given to other files while they are read never joins one content with another owner', async (t) => {
  const { device, tree } = newDevice(t);
  const names = ['a', 'b'].map((name) => path.join(device.folder, name));
  write(names[0]!, noise(70 * 1024 * 1024, 29));
  write(names[1]!, noise(70 * 1024 * 1024, 31));
  fs.chmodSync(names[0]!, 0o600);
  fs.chmodSync(names[1]!, 0o644);
  const target = path.join(tree, 'exchanged');
  fs.linkSync(names[0]!, target);
  let turn = 0;
  const exchange = setInterval(() => {
    fs.linkSync(names[++turn % 2]!, `${target}.new`);
    fs.renameSync(`${target}.new`, target);
  }, 15);
  try {
    for (let round = 0; round < 3; round++) {
      await device.backup(tree);
      const row = (await device.listing()).get(target);
      if (!row) continue;
      const content = Buffer.from(await device.contentOf(row));
      const seed = row.mode === 0o600 ? 29 : 31;
      assert.equal(Buffer.compare(content.subarray(0, 1000), noise(1000, seed)), 0);
    }
  } finally {
    clearInterval(exchange);
  }
  await device.backup(tree);
  assert.ok((await device.listing()).has(target), 'once it holds still it is stored');
});

test(
  'a folder above a mount point that is exchanged for a link leads nobody elsewhere',
  { skip: process.getuid?.() !== 0 && 'needs root' },
  async (t) => {
    const { device, tree } = newDevice(t);
    const elsewhere = path.join(device.folder, 'elsewhere');
    write(path.join(elsewhere, 'secret'), 'of somebody else');
    const disk = path.join(device.folder, 'disk');
    write(path.join(disk, 'own'), 'on the disk');
    const mountPoint = path.join(tree, 'media/disk');
    fs.mkdirSync(mountPoint, { recursive: true });
    const mounted = spawnSync('mount', ['--bind', disk, mountPoint]);
    if (mounted.status !== 0) return t.skip('mounting is refused here');
    try {
      await device.backup(tree);
      const withDisk = [...(await device.listing()).keys()].filter((name) => name.endsWith('/own'));
      assert.equal(withDisk.length, 1, 'the mounted disk is protected');
      fs.renameSync(path.join(tree, 'media'), path.join(tree, 'moved'));
      fs.mkdirSync(path.join(tree, 'media'));
      fs.symlinkSync(elsewhere, mountPoint);
      await device.backup(tree);
      const names = [...(await device.listing()).keys()];
      assert.ok(!names.some((name) => name.endsWith('/secret')), 'nothing of the other folder');
    } finally {
      spawnSync('umount', [path.join(tree, 'moved/disk')]);
      spawnSync('umount', [mountPoint]);
    }
  },
);
