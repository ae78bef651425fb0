import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { nameBytes, printableName } from './file-name.ts';
import { closeDescriptor, createFile, openDirectory, withDescriptor } from './open-relative.ts';
import { openTemporaryFolder, temporaryFolder } from './temporary-folder.ts';
import { DirectoryWatcher, type WatchEvent } from './watch.ts';

const full = process.env['HOLDFAST_TEST_FULL'] === '1';

/** A watcher whose events can be waited for. */
class Recorder {
  readonly events: WatchEvent[] = [];
  readonly watcher: DirectoryWatcher;
  #wake: () => void = () => undefined;

  constructor(t: TestContext) {
    this.watcher = new DirectoryWatcher((event) => {
      this.events.push(event);
      this.#wake();
    });
    t.after(() => this.watcher.close());
  }

  watch(path: string, directoryId: number): number | undefined {
    return withDescriptor(openDirectory(path), (fd) => this.watcher.add(fd, directoryId));
  }

  async until(holds: (event: WatchEvent) => boolean): Promise<void> {
    while (!this.events.some(holds)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  get lines(): string[] {
    return this.events.map(line);
  }
}

function line(event: WatchEvent): string {
  if (event.kind !== 'change') return 'directoryId' in event ? `${event.kind} ${event.directoryId}` : event.kind;
  const name = event.name === undefined ? '' : ` ${printableName(event.name)}`;
  return `${event.directoryId} ${event.change}${event.isDirectory ? ' folder' : ''}${name}`;
}

const limit = { timeout: 30_000 };

test(
  'what happens in a watched folder is told once, in order, with raw names, and nothing of its neighbours',
  limit,
  async (t) => {
    const path = temporaryFolder(t);
    mkdirSync(`${path}/in`);
    mkdirSync(`${path}/beside`);
    const recorder = new Recorder(t);
    assert.ok(recorder.watch(`${path}/in`, 7) !== undefined);
    writeFileSync(`${path}/in/new\nline`, 'x');
    chmodSync(`${path}/in/new\nline`, 0o600);
    mkdirSync(`${path}/in/folder`);
    writeFileSync(`${path}/beside/quiet`, 'x');
    const odd = Uint8Array.of(0xff, 0x80);
    withDescriptor(openDirectory(`${path}/in`), (fd) => closeDescriptor(createFile(fd, odd, 0o600)));
    rmSync(`${path}/in/new\nline`);
    await recorder.until((event) => event.kind === 'change' && event.change === 'deleted');
    assert.deepEqual(recorder.lines, [
      '7 created new\nline',
      '7 written new\nline',
      '7 attributes new\nline',
      '7 created folder folder',
      '7 created \\xff\\x80',
      '7 written \\xff\\x80',
      '7 deleted new\nline',
    ]);
  },
);

test('a file that stays open is told when it is closed, not before', limit, async (t) => {
  const { path, fd } = openTemporaryFolder(t);
  const recorder = new Recorder(t);
  recorder.watch(path, 1);
  const file = createFile(fd, nameBytes('log'), 0o600);
  appendFileSync(file, 'one');
  mkdirSync(`${path}/marker`);
  await recorder.until((event) => line(event) === '1 created folder marker');
  assert.deepEqual(recorder.lines, ['1 created log', '1 created folder marker']);
  closeDescriptor(file);
  await recorder.until((event) => line(event) === '1 written log');
});

test('both ends of a move carry one cookie, and a watch follows its folder to the new place', limit, async (t) => {
  const path = temporaryFolder(t);
  for (const name of ['a', 'b', 'a/moving']) mkdirSync(`${path}/${name}`);
  const recorder = new Recorder(t);
  recorder.watch(`${path}/a`, 1);
  recorder.watch(`${path}/b`, 2);
  recorder.watch(`${path}/a/moving`, 3);
  renameSync(`${path}/a/moving`, `${path}/b/moved`);
  writeFileSync(`${path}/b/moved/file`, '');
  await recorder.until((event) => line(event) === '3 written file');
  assert.deepEqual(recorder.lines, [
    '1 moved_from folder moving',
    '2 moved_to folder moved',
    '3 directory_moved',
    '3 created file',
    '3 written file',
  ]);
  const cookies = recorder.events.map((event) => (event.kind === 'change' ? event.cookie : undefined));
  assert.ok(cookies[0] !== 0);
  assert.equal(cookies[0], cookies[1]);
  assert.equal(cookies[3], 0);
});

test('a watch ends with its folder or when it is removed, and its number is told', limit, async (t) => {
  const path = temporaryFolder(t);
  mkdirSync(`${path}/gone`);
  mkdirSync(`${path}/kept`);
  const recorder = new Recorder(t);
  recorder.watch(`${path}/gone`, 1);
  const kept = recorder.watch(`${path}/kept`, 2);
  assert.ok(kept !== undefined);
  rmdirSync(`${path}/gone`);
  await recorder.until((event) => line(event) === 'ended 1');
  assert.ok(recorder.lines.includes('1 directory_deleted'));
  assert.equal(recorder.watcher.watchCount, 1);
  recorder.watcher.remove(kept);
  await recorder.until((event) => line(event) === 'ended 2');
  recorder.watcher.remove(kept);
  assert.equal(recorder.watcher.watchCount, 0);
  writeFileSync(`${path}/kept/unseen`, '');
  mkdirSync(`${path}/again`);
  recorder.watch(`${path}/again`, 3);
  writeFileSync(`${path}/again/seen`, '');
  await recorder.until((event) => line(event) === '3 written seen');
  assert.ok(!recorder.lines.some((each) => each.includes('unseen')));
});

test('a folder watched twice has one watch, under the newer number', limit, async (t) => {
  const path = temporaryFolder(t);
  const recorder = new Recorder(t);
  assert.equal(recorder.watch(path, 1), recorder.watch(path, 2));
  writeFileSync(`${path}/file`, '');
  await recorder.until((event) => line(event) === '2 written file');
  assert.equal(recorder.watcher.watchCount, 1);
});

test('what is no folder is refused, and so is adding after the end', limit, (t) => {
  const { path, fd } = openTemporaryFolder(t);
  const recorder = new Recorder(t);
  withDescriptor(createFile(fd, nameBytes('file'), 0o600), (file) => {
    assert.throws(() => recorder.watcher.add(file, 1), { code: 'files.not_directory' });
  });
  assert.ok(recorder.watch(path, 1) !== undefined);
  recorder.watcher.close();
  recorder.watcher.close();
  assert.throws(() => recorder.watch(path, 1), { code: 'files.bad_descriptor' });
});

test('events that the kernel dropped are an overflow, after which watching goes on', limit, async (t) => {
  const path = temporaryFolder(t);
  mkdirSync(`${path}/gone`);
  const recorder = new Recorder(t);
  recorder.watch(path, 1);
  recorder.watch(`${path}/gone`, 2);
  // Nothing is read while this thread does not return to its loop; the kernel's queue takes 16,384 by default.
  for (let i = 0; i < 40_000; i++) chmodSync(path, i % 2 === 0 ? 0o700 : 0o755);
  for (let i = 0; i < 9000; i++) writeFileSync(`${path}/file ${i}`, '');
  rmdirSync(`${path}/gone`);
  await recorder.until((event) => event.kind === 'overflow');
  // The end of the second watch was dropped as well.
  await recorder.until((event) => line(event) === 'ended 2');
  assert.equal(recorder.watcher.watchCount, 1);
  writeFileSync(`${path}/after`, '');
  await recorder.until((event) => line(event) === '1 written after');
});

/** Runs a script in a child whose user namespace has its own limit of watches. */
function runWithWatches(mostWatches: number, script: string, path: string) {
  const limited = `echo ${mostWatches} > /proc/sys/user/max_inotify_watches && exec "$0" --input-type=module -e "$1" "$2"`;
  const command = ['-U', '-r', 'sh', '-c', limited, process.execPath, script, path];
  return spawnSync('unshare', command, { encoding: 'utf8', timeout: 30_000 });
}

test(
  'folders for which no watch is left are named, the others are watched, and a freed watch serves another',
  limit,
  (t) => {
    const path = temporaryFolder(t);
    const module = new URL('index.ts', import.meta.url).href;
    const script = `
    const { DirectoryWatcher, openDirectory, closeDescriptor } = await import(${JSON.stringify(module)});
    const { mkdirSync, writeFileSync } = await import('node:fs');
    const path = process.argv[1];
    const add = (id) => { const fd = openDirectory(path + '/' + id); const watch = watcher.add(fd, id); closeDescriptor(fd); return watch; };
    const seen = [];
    const watcher = new DirectoryWatcher((event) => {
      if (event.kind === 'unwatched') {
        console.log(JSON.stringify(event));
        watcher.remove(watches[0]);
        console.log('again', add(20) !== undefined, watcher.watchCount);
        for (const id of [0, 5, 19, 20]) writeFileSync(path + '/' + id + '/file', '');
      }
      if (event.kind === 'change' && event.change === 'written') seen.push(event.directoryId);
      if (seen.length === 3 - 1) { console.log('seen', seen.join()); watcher.close(); }
    });
    for (let id = 0; id <= 20; id++) mkdirSync(path + '/' + id);
    const watches = []; for (let id = 0; id < 20; id++) watches.push(add(id));
    console.log(watches.filter((watch) => watch !== undefined).length);`;
    const child = runWithWatches(10, script, path);
    if (/unshare|Permission denied|cannot create/i.test(child.stderr)) {
      t.skip(`no user namespace here: ${child.stderr.trim()}`);
      return;
    }
    assert.equal(
      child.stdout,
      `10\n{"kind":"unwatched","directoryIds":[10,11,12,13,14,15,16,17,18,19],"watchCount":10}\nagain true 11\nseen 5,20\n`,
      child.stderr,
    );
  },
);

test('an unmounted volume ends its watches', { ...limit, skip: process.getuid?.() !== 0 && 'needs root' }, (t) => {
  const path = temporaryFolder(t);
  const module = new URL('index.ts', import.meta.url).href;
  const script = `
    const { DirectoryWatcher, openDirectory, closeDescriptor } = await import(${JSON.stringify(module)});
    const { execFileSync } = await import('node:child_process');
    const path = process.argv[1];
    execFileSync('mount', ['-t', 'tmpfs', 'none', path]);
    const watcher = new DirectoryWatcher((event) => {
      console.log(event.kind, event.change ?? '', event.directoryId);
      if (event.kind === 'ended') watcher.close();
    });
    const fd = openDirectory(path); watcher.add(fd, 1); closeDescriptor(fd);
    execFileSync('umount', [path]);`;
  const command = ['-m', process.execPath, '--input-type=module', '-e', script, path];
  const child = spawnSync('unshare', command, { encoding: 'utf8', timeout: 20_000 });
  if (/unshare failed|permission denied/i.test(child.stderr)) {
    t.skip(`no mounts here: ${child.stderr.trim()}`);
    return;
  }
  assert.equal(child.stdout, 'change unmounted 1\nended  1\n', child.stderr);
});

test('a watcher at rest uses no processor, ends its process once closed, and leaves no descriptor', limit, (t) => {
  const path = temporaryFolder(t);
  const module = new URL('index.ts', import.meta.url).href;
  const script = `
    const { DirectoryWatcher, openDirectory, closeDescriptor } = await import(${JSON.stringify(module)});
    const { readdirSync } = await import('node:fs');
    const before = readdirSync('/proc/self/fd').length;
    const watcher = new DirectoryWatcher(() => undefined);
    const fd = openDirectory(process.argv[1]); watcher.add(fd, 1); closeDescriptor(fd);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const start = process.cpuUsage();
    setTimeout(() => {
      const used = process.cpuUsage(start);
      watcher.close();
      console.log((used.user + used.system) / 1000, readdirSync('/proc/self/fd').length - before);
    }, 2000);`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script, path], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.equal(child.status, 0, child.stderr);
  const [usedMs, descriptors] = child.stdout.split(' ').map(Number);
  t.diagnostic(`${usedMs} ms in 2 s`);
  assert.ok(usedMs !== undefined && usedMs < 10, `${usedMs} ms of 2,000`);
  // The loop's own descriptors may have come, the watcher's is gone.
  assert.ok(descriptors !== undefined && descriptors <= 0, `${descriptors} more descriptors`);
});

test('a worker watches as well, and can be stopped', limit, async (t) => {
  const path = temporaryFolder(t);
  const module = new URL('index.ts', import.meta.url).href;
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.module).then(({ DirectoryWatcher, openDirectory, closeDescriptor }) => {
      const watcher = new DirectoryWatcher((event) => parentPort.postMessage(event.change));
      const fd = openDirectory(workerData.path); watcher.add(fd, 1); closeDescriptor(fd);
      parentPort.once('message', () => { watcher.close(); parentPort.close(); });
      parentPort.postMessage('watching');
    });`;
  const worker = new Worker(source, { eval: true, workerData: { module, path } });
  const messages: unknown[] = [];
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  worker.on('message', (message) => {
    messages.push(message);
    if (message === 'watching') writeFileSync(`${path}/file`, '');
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    if (message === 'written') worker.postMessage('stop');
  });
  assert.equal(await ended, 0);
  assert.deepEqual(messages, ['watching', 'created', 'written']);
});

const watches = full ? 50_000 : 5000;

test(`${watches} folders are watched at once and an event in the last is told`, { timeout: 120_000 }, async (t) => {
  const path = temporaryFolder(t);
  for (let i = 0; i < watches; i++) mkdirSync(`${path}/${i}`);
  const recorder = new Recorder(t);
  const before = process.memoryUsage().rss;
  const startedAt = performance.now();
  for (let i = 0; i < watches; i++) assert.ok(recorder.watch(`${path}/${i}`, i) !== undefined);
  const elapsedMs = Math.round(performance.now() - startedAt);
  t.diagnostic(`${elapsedMs} ms, ${Math.round((process.memoryUsage().rss - before) / 1e6)} MB`);
  writeFileSync(`${path}/${watches - 1}/file`, '');
  await recorder.until((event) => line(event) === `${watches - 1} written file`);
  assert.equal(readdirSync(path).length, watches);
});
