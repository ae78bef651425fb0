import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { RecordKind } from '@holdfast/archive';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { scanArchiveFolder } from './stored-records.ts';

const mib = 1024 * 1024;
const lengthMib = process.env['HOLDFAST_TEST_FULL'] === '1' ? 1024 : 200;
/** A commit every 64 MiB; 16 MiB may be under way, and a commit begins only when the one before it has arrived. */
const mostSentAgain = (64 + 48) * mib;

test('an agent that is killed and loses its index in the middle of one huge file does not send it again', async (t) => {
  const agent = new RunningAgentProcess(t);
  agent.write('small', 'small');
  await agent.start();
  const destination = agent.addDestination();
  assert.equal(agent.run('backup').status, 0);
  const keyFile = path.join(agent.folder, 'key');
  assert.equal(agent.run('key', 'export', '--out', keyFile).status, 0);
  const segments = path.join(destination, readdirSync(destination)[0]!, 'segments');
  const stored = () => readdirSync(segments).reduce((sum, name) => sum + statSync(path.join(segments, name)).size, 0);

  // Written under a name that nobody selected, so that it is whole when it is first seen.
  const file = path.join(agent.tree, 'huge');
  const hash = writeNoise(file, lengthMib * mib);
  await until(() => stored() > (lengthMib * mib * 6) / 10, 'most of the file at the destination', 120_000);
  await agent.kill();
  assert.ok(stored() < lengthMib * mib, 'it was killed before the end');
  for (const name of ['index.db', 'index.db-wal', 'index.db-shm'])
    rmSync(path.join(agent.stateDir, name), { force: true });

  const out = path.join(agent.folder, 'partial');
  const partial = agent.run('recover', destination, '--key', keyFile, '--to', out);
  assert.equal(partial.status, 0, partial.stderr);
  assert.deepEqual(readdirSync(path.join(out, agent.tree)), ['small'], 'recover does not show the partial row');

  await agent.start();
  assert.notEqual(agent.run('ls', file).status, 0, 'neither does the list');
  assert.equal(agent.run('backup').status, 0);
  const sentAgain = (await blockBytesIn(path.dirname(segments))) - lengthMib * mib;
  t.diagnostic(`${Math.round(sentAgain / mib)} of ${lengthMib} MiB were sent again`);
  assert.ok(sentAgain < mostSentAgain, `${sentAgain} bytes were sent again`);

  const versions = agent.run('versions', file);
  assert.equal((versions.value['versions'] as unknown[]).length, 1, versions.stdout);
  const to = path.join(agent.folder, 'restored');
  const restored = agent.run('restore', file, '--to', to);
  assert.equal(restored.status, 0, restored.stderr);
  assert.equal(hashOf(path.join(to, 'huge')), hash);
  await agent.kill('SIGTERM');
  const whole = path.join(agent.folder, 'whole');
  const recovered = agent.run('recover', destination, '--key', keyFile, '--to', whole);
  assert.equal(recovered.status, 0, recovered.stderr);
  assert.equal(hashOf(path.join(whole, file)), hash);
  assert.equal(existsSync(path.join(whole, `${file}.partial`)), false);
});

/** Parity, footers and indices, which segments have besides, are nothing that was sent. */
async function blockBytesIn(folder: string): Promise<number> {
  const records = [...(await scanArchiveFolder(folder)).values()].flat();
  return records.reduce((sum, { kind, lengthBytes }) => sum + (kind === RecordKind.block ? lengthBytes : 0), 0);
}

function writeNoise(file: string, length: number): string {
  const hash = createHash('sha256');
  const fd = openSync(file, 'w');
  for (let at = 0; at < length; at += mib) {
    const bytes = randomBytes(mib);
    hash.update(bytes);
    writeSync(fd, bytes);
  }
  closeSync(fd);
  return hash.digest('hex');
}

function hashOf(file: string): string {
  const hash = createHash('sha256');
  const fd = openSync(file, 'r');
  const bytes = Buffer.alloc(mib);
  for (let read = readSync(fd, bytes); read > 0; read = readSync(fd, bytes)) hash.update(bytes.subarray(0, read));
  closeSync(fd);
  return hash.digest('hex');
}
