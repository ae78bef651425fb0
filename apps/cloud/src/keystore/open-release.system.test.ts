import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { deriveKeyRing } from '@holdfast/archive';
import { openEscrowInner, openSlotWithKey } from '@holdfast/trust';
import type { Grant } from './judge-release.ts';
import { makeScene } from './release-scene.fixture.ts';

const program = path.join(import.meta.dirname, 'open-releases.fixture.ts');
const skip = process.platform !== 'linux' && 'the memory of a process is read through /proc';
const scene = makeScene();
const { archive, recipient } = scene;
const { archiveId, ring } = archive.keys;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Every secret that is met on the way from a layer to a release, by a name. */
function secretsOf(): ReadonlyMap<string, Uint8Array> {
  const place = { archiveId, keyringNumber: archive.keys.keyring.number };
  const slotKey = openEscrowInner(archive.slot, archiveId, scene.inner(), archive.keystoreKey);
  const secrets = new Map([
    ['slot key', slotKey],
    ['ring key', openSlotWithKey(archive.slot, place, slotKey)!],
  ]);
  for (const { number, key } of ring.epochs) secrets.set(`epoch ${number}`, key);
  for (const [number, { data, metadata }] of deriveKeyRing(archiveId, ring.epochs))
    secrets.set(`data ${number}`, data).set(`metadata ${number}`, metadata);
  return secrets;
}

/** The names of what is found in the memory of a process, raw or as text. */
function foundIn(pid: number, wanted: ReadonlyMap<string, Uint8Array>): readonly string[] {
  const forms = [...wanted].flatMap(([name, secret]) => {
    const bytes = Buffer.from(secret);
    // What is freed loses its first bytes, and half a key is half a secret.
    const half = bytes.subarray(bytes.length / 2);
    const texts = [half.toString('hex'), bytes.toString('base64').slice(0, 40)].map((text) => Buffer.from(text));
    return [half, ...texts].map((form) => ({ name, form }));
  });
  const found = new Set<string>();
  for (const region of memoryOf(pid)) for (const { name, form } of forms) if (region.includes(form)) found.add(name);
  return [...found];
}

function* memoryOf(pid: number): Generator<Buffer> {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      if (from === undefined || to === undefined) continue;
      const region = Buffer.alloc(Number.parseInt(to, 16) - Number.parseInt(from, 16));
      const readBytes = readSync(memory, region, 0, region.length, Number.parseInt(from, 16));
      yield region.subarray(0, readBytes);
    }
  } finally {
    closeSync(memory);
  }
}

async function run(child: ChildProcess, grants: readonly Grant[], look: (pid: number) => void): Promise<void> {
  const ofText = grants.map(({ archiveId: id, slotId, keyring, recipientKey, leafHash, ...rest }) => ({
    ...rest,
    archiveId: hex(id),
    slotId: hex(slotId),
    keyring: hex(keyring),
    recipientKey: hex(recipientKey),
    leafHash: hex(leafHash),
  }));
  const keystoreKey = hex(archive.keystoreKey.privateKey.export({ format: 'raw-private' }));
  child.stdin!.write(`${JSON.stringify({ grants: ofText, inner: hex(scene.inner()), keystoreKey })}\n`);
  const [said] = (await once(child.stdout!, 'data')) as [Buffer];
  assert.ok(Number(said.toString()) > grants.length * 48);
  look(child.pid!);
  child.stdin!.end();
  await once(child, 'exit');
}

test(
  'after twenty releases no key that was met is in the memory of the process, raw or as text',
  { skip, timeout: 60_000 },
  async (t) => {
    const base = {
      purpose: 'own_restore',
      archiveId: new Uint8Array(archiveId),
      slotId: archive.slot.slotId,
      keyring: archive.record,
      recipientKey: recipient.publicKey,
      leafHash: new Uint8Array(32),
    } as const;
    const grants = Array.from({ length: 20 }, (_, place): Grant => ({
      ...base,
      scope: place % 2 ? 'ring' : 'read',
      epochs: 'all',
    }));
    const child = spawn(process.execPath, ['--expose-gc', program], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const secrets = secretsOf();
    assert.equal(secrets.size, 11);
    await run(child, grants, (pid) => {
      assert.deepEqual(foundIn(pid, secrets), []);
      // What is there is found: the layer that it was sent as text.
      assert.deepEqual(foundIn(pid, new Map([['inner layer', scene.inner()]])), ['inner layer']);
    });
  },
);
