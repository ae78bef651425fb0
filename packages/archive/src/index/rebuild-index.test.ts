import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';

import type { Source } from '../backup/source.ts';
import { newestOf } from '../testing/archive-maker.ts';
import { begin } from '../testing/golden-begin.ts';
import { golden, ownedDirectory } from '../testing/golden-rows.ts';
import { LocalIndex } from './local-index.ts';
import { rebuildIndex } from './rebuild-index.ts';

/** No volume of the archive is mounted here, so nothing of the machine is asked. */
const nowhere = {} as Source;

test('rebuilding ends, and counts each directory once, where a directory holds itself', async (t) => {
  const scene = begin('rebuilt');
  scene.directory('volume', ownedDirectory);
  scene.directory('volume/below', ownedDirectory);
  scene.entry('volume/below/file', { type: 'file' });
  const place = { type: 'directory', directoryNumber: scene.numberOf('volume'), since: 1 } as const;
  scene.put(scene.numberOf('volume'), Buffer.from('again'), place);
  scene.put(scene.numberOf('volume/below'), Buffer.from('up'), place);
  const { sha256, number } = await scene.commit({ time: golden(0) });
  const { maker } = scene;
  const record = newestOf(maker.records).bytes;
  const folder = mkdtempSync(join(tmpdir(), 'holdfast rebuilt '));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { index } = LocalIndex.open(join(folder, 'index.db'));
  t.after(() => index.close());
  const stop = new AbortController();
  const counts = await rebuildIndex({
    index,
    keys: { archiveId: maker.archiveId, ring: maker.ring },
    commits: [{ number, sha256, record }],
    load: ({ ordinal }) => Promise.resolve(maker.rawOf(ordinal)),
    source: nowhere,
    signal: stop.signal,
    onProgress: ({ directories }) => {
      if (directories > 100) stop.abort();
    },
  });
  assert.equal(counts.directories, 2);
});
