import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createCipheriv, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { foundInMemory } from './memory-of.fixture.ts';
import { forgetfulMemory } from './supervise.ts';

const isGlibc = process.platform === 'linux' && /libc\.so\.6/.test(readFileSync('/proc/self/maps', 'utf8'));
const needsRoot =
  process.getuid?.() !== 0 && 'needs root: who looks is the parent, which some systems let look all the same';
const skip = isGlibc ? needsRoot : 'needs glibc';

/** Decrypts what it is sent, overwrites what it was given of it, and waits. */
const script = `
  process.stdin.once('data', (line) => {
    const sent = Buffer.from(line.toString().trim(), 'base64');
    const cipher = require('node:crypto').createDecipheriv('aes-256-ctr', sent.subarray(0, 32), Buffer.alloc(16));
    cipher.update(sent.subarray(32)).fill(0);
    process.stdout.write('done');
  });
  setInterval(() => undefined, 1_000_000);`;

/** How many of two parts of a text of so many bytes are left in a process that decrypted it. */
async function partsLeft(lengthBytes: number, env: Readonly<Record<string, string>>): Promise<number> {
  const [key, text] = [randomBytes(32), randomBytes(lengthBytes)];
  const sealed = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(text);
  const parts = [32, lengthBytes / 2].map((at) => text.subarray(at, at + 32));
  const child = spawn(process.execPath, ['-e', script], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    child.stdin.write(`${Buffer.concat([key, sealed]).toString('base64')}\n`);
    await once(child.stdout, 'data');
    return foundInMemory(child.pid!, new Map(parts.map((part, nth) => [String(nth), part]))).length;
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

test(
  'what a keystore frees of a text that it decrypted is overwritten, and is left there by another process',
  { skip },
  async () => {
    const { GLIBC_TUNABLES: _, ...others } = forgetfulMemory;
    let left = 0;
    for (const lengthBytes of [200, 600, 1_000]) {
      assert.equal(await partsLeft(lengthBytes, forgetfulMemory), 0, `of ${lengthBytes} bytes`);
      left += await partsLeft(lengthBytes, others);
    }
    assert.ok(left > 0);
  },
);
