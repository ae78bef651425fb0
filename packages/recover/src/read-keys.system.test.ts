import assert from 'node:assert/strict';
import { hash, hkdfSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listArchive, recover, RecoverError } from './index.ts';
import { assertFiles } from './testing/compare-restored.ts';
import { makeSample, temporaryFolder } from './testing/sample-archive.ts';
import type { ArchiveWriter } from './testing/write-archive.ts';

/** Read keys as the document has them (§3, §5), of all epochs or of some. */
function readKeysOf(
  { archiveId, epochs }: ArchiveWriter,
  { only, labels = ['data', 'metadata'] }: { readonly only?: number; readonly labels?: readonly string[] } = {},
): string {
  const lines = [...epochs]
    .filter(([number]) => only === undefined || number === only)
    .map(([number, key]) => {
      const keys = labels.map((label) => {
        const derived = hkdfSync('sha256', key, archiveId, Buffer.from(`holdfast v1 ${label}`), 32);
        return Buffer.from(derived).toString('hex');
      });
      return `epoch ${number} 1 ${keys.join(' ')}\n`;
    });
  const body = `holdfast-read-keys-v1\narchive ${archiveId.toString('hex')}\n${lines.join('')}`;
  return `${body}check ${hash('sha256', body, 'hex').slice(0, 16)}\n`;
}

/** The sample, whose contents are of epoch 0, with a commit more of epoch 1. */
function twoEpochs() {
  const sample = makeSample();
  sample.writer.addEpoch();
  sample.writer.commit([]);
  return sample;
}

test('with read keys of all epochs everything comes back, as with the key file', async (t) => {
  const { writer, contents } = twoEpochs();
  const folder = join(temporaryFolder(t), 'archive');
  writer.save(folder);
  const secrets = [{ keyFile: writer.keyFile }, { readKeys: readKeysOf(writer) }];
  for (const [index, secret] of secrets.entries()) {
    const outDir = join(folder, '..', `out ${index}`);
    const report = await recover({ folder, secret, outDir });
    assert.deepEqual([report.complete, report.proven, report.headCommit], [true, true, 7]);
    assertFiles(outDir, contents);
  }
});

test('read keys read the epochs they name and no other', async (t) => {
  const { writer } = twoEpochs();
  const folder = join(temporaryFolder(t), 'archive');
  writer.save(folder);
  const headOf = async (only: number) => {
    const { report } = await listArchive({ folder, secret: { readKeys: readKeysOf(writer, { only }) } });
    return report.headCommit;
  };
  assert.equal(await headOf(0), 6, 'the commit of epoch 1 is not opened');
  const swapped = { readKeys: readKeysOf(writer, { labels: ['metadata', 'data'] }) };
  await assert.rejects(listArchive({ folder, secret: swapped }), RecoverError);
});

test('read keys are refused as a key file and the other way round, and so is a file that was changed', async (t) => {
  const { writer } = twoEpochs();
  const folder = join(temporaryFolder(t), 'archive');
  writer.save(folder);
  const genuine = readKeysOf(writer);
  const invalid = (error: unknown) => error instanceof RecoverError && error.code === 'secret.invalid';
  await assert.rejects(listArchive({ folder, secret: { keyFile: genuine } }), invalid);
  await assert.rejects(listArchive({ folder, secret: { readKeys: writer.keyFile } }), invalid);
  for (let at = 0; at < genuine.length - 1; at += 7) {
    const changed = genuine.slice(0, at) + (genuine[at] === 'a' ? 'b' : 'a') + genuine.slice(at + 1);
    await assert.rejects(listArchive({ folder, secret: { readKeys: changed } }), RecoverError);
  }
  writeFileSync(join(folder, '..', 'keys'), genuine);
  await listArchive({ folder, secret: { readKeys: genuine } });
});
