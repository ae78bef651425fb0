import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { storedRecord } from './fixtures.ts';
import { segmentHeadBytes } from './footer.ts';
import { nodeDisk } from './node-disk.ts';
import { scanRecords } from './scan.ts';

const isWindows = process.platform === 'win32' && 'links need rights there';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast disk '));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function textOf(file: string, mode: 'read' | 'write'): Promise<string> {
  const open = await nodeDisk.open(file, mode);
  try {
    const bytes = new Uint8Array(100);
    return Buffer.from(bytes.subarray(0, await open.read(bytes, 0))).toString();
  } finally {
    await open.close();
  }
}

test(
  'only plain files are opened: no link leads elsewhere and no FIFO holds anybody up',
  { skip: isWindows },
  async (t) => {
    const folder = folderOf(t);
    const own = path.join(folder, 'own');
    const outside = path.join(folder, 'outside');
    writeFileSync(own, 'own');
    writeFileSync(outside, 'outside');
    linkSync(own, path.join(folder, 'second name'));
    mkdirSync(path.join(folder, 'folder'));
    symlinkSync(outside, path.join(folder, 'link'));
    symlinkSync('nowhere', path.join(folder, 'dangling'));
    execFileSync('mkfifo', [path.join(folder, 'fifo')]);
    for (const mode of ['read', 'write'] as const) {
      for (const name of ['link', 'dangling', 'fifo', 'folder']) {
        await assert.rejects(nodeDisk.open(path.join(folder, name), mode), `${name} to ${mode}`);
      }
      for (const name of ['own', 'second name']) assert.equal(await textOf(path.join(folder, name), mode), 'own');
    }
    for (const name of ['link', 'fifo']) {
      await assert.rejects(nodeDisk.open(path.join(folder, name), 'read'), {
        code: 'log.not_a_file',
        kind: 'conflict',
      });
    }
    for (const name of ['link', 'dangling', 'fifo', 'own']) {
      await assert.rejects(nodeDisk.open(path.join(folder, name), 'create'), { code: 'EEXIST' });
    }
    const made = await nodeDisk.open(path.join(folder, 'new'), 'create');
    await made.write(Buffer.from('new'), 0);
    await made.close();
    assert.equal(readFileSync(path.join(folder, 'new'), 'utf8'), 'new');
    assert.equal(readFileSync(outside, 'utf8'), 'outside');
  },
);

test('a link is not taken for a folder, wherever the folder that is meant may lie', { skip: isWindows }, async (t) => {
  const folder = folderOf(t);
  mkdirSync(path.join(folder, 'there'));
  symlinkSync('there', path.join(folder, 'link'));
  await assert.rejects(nodeDisk.makeDirectory(path.join(folder, 'link')), { code: 'log.not_a_file' });
  await nodeDisk.makeDirectory(path.join(folder, 'there'));
  await nodeDisk.makeDirectory(path.join(folder, 'link', 'below'));
  assert.deepEqual(await nodeDisk.list(path.join(folder, 'there')), ['below']);
});

test('a file that was made long without end is read no further than a segment reaches', async (t) => {
  const file = path.join(folderOf(t), 'segment');
  const records = [storedRecord(3, 500), storedRecord(4, 70_000)];
  const found = async (sizeBytes?: number) => {
    writeFileSync(file, Buffer.concat([new Uint8Array(segmentHeadBytes), ...records]));
    if (sizeBytes !== undefined) truncateSync(file, sizeBytes);
    const open = await nodeDisk.open(file, 'read');
    try {
      const findings = await Array.fromAsync(scanRecords(open));
      return findings.map((finding) => (finding.found === 'record' ? finding.ordinal : finding.found));
    } finally {
      await open.close();
    }
  };
  // As many zeros as would take hours; what a crash leaves behind the last record; and nothing.
  for (const sizeBytes of [1024 ** 4, 1024 ** 2, undefined]) assert.deepEqual(await found(sizeBytes), [3, 4]);
});
