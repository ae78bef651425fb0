import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock, systemRandom } from '@holdfast/base';
import { openCustomKeySlot, openSlot } from '@holdfast/trust';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { makeArchive, newestKeyring } from './archive-keyring.ts';
import { KeyStore } from './key-store.ts';

const fixture = path.join(import.meta.dirname, 'change-slots.fixture.ts');
const rounds = 8;

/** Runs the program until it has said something and some more milliseconds; the last keyring that it said was kept. */
async function runAndKill(file: string, ms: number): Promise<number> {
  const child = spawn(process.execPath, [fixture, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise((resolve) => child.once('close', resolve));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  await sleep(ms);
  child.kill('SIGKILL');
  await ended;
  return Number(said.trim().split('\n').at(-1));
}

test('whoever is killed while keys change goes on with the keyring before or the next one, and its owner opens it', async (t) => {
  const store = new KeyStore(path.join(temporaryFolder(t), 'keys.json'));
  const code = systemRandom(32);
  store.save(makeArchive({ clock: systemClock, random: systemRandom }, code));
  let kept = 1;
  let beyond = 0;
  for (let round = 0; round < rounds; round++) {
    const said = await runAndKill(store.path, 1 + round * 7);
    const stored = store.load()!;
    const { number } = stored.keys.keyring;
    assert.ok(said > kept, 'it got on');
    assert.ok(number === said || number === said + 1, `said ${said}, kept ${number}`);
    if (number > said) beyond++;
    kept = number;
    const keyring = newestKeyring(stored);
    assert.equal(keyring.number, number);
    const place = { archiveId: stored.keys.archiveId, keyringNumber: number };
    const custom = new Uint8Array(32).fill(number % 251).with(0, 255);
    const opened = keyring.slots.map((slot) => openSlot(slot, place, code) ?? openCustomKeySlot(slot, place, custom));
    assert.deepEqual([opened.length, opened.every((ringKey) => ringKey?.length === 32)], [2, true]);
    assert.equal(stored.choice, 'custom');
  }
  t.diagnostic(`${kept} keyrings, killed ${rounds} times, ${beyond} times between keeping one and saying so`);
});

test('what a write that was cut short left beside the key file changes nothing', (t) => {
  const store = new KeyStore(path.join(temporaryFolder(t), 'keys.json'));
  const before = makeArchive({ clock: systemClock, random: systemRandom });
  store.save(before);
  const text = readFileSync(store.path);
  for (const length of [0, 1, Math.floor(text.length / 2), text.length - 1, text.length]) {
    writeFileSync(`${store.path}.new`, text.subarray(0, length), { mode: 0o644 });
    assert.deepEqual(store.load()?.keys.keyring.number, 1);
    store.save(before);
    assert.equal(existsSync(`${store.path}.new`), false);
  }
});
