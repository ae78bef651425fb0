import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { storageRoutes } from '@holdfast/contract';
import { startAgentOf } from './agent-of-device.ts';
import { until } from './process-tree.ts';
import { enrollDevice, newFolder, startRunningCloud } from './running-cloud.ts';

const marker = 'marker-7f3a91c2e5-in-names-and-contents';

test('an enrolled agent backs up to the cloud by itself, which reads nothing; deauthorised, it removes its keys', async (t) => {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const device = await enrollDevice(t, tenant);
  const { stateDir, enrollment, client } = device;
  const files = newFolder(t);
  writeFileSync(path.join(files, `${marker}.txt`), `${marker}\n`.repeat(50));
  const { agent } = await startAgentOf(t, device, { files });
  const head = async () => (await client.call(storageRoutes.list, {})).archives[0]?.head?.number ?? 0;
  await until(async () => (await head()) > 0, 'the first commit at the cloud', 60_000);
  const first = await head();
  writeFileSync(path.join(files, 'second'), marker);
  await until(async () => (await head()) > first, 'the next commit at the cloud', 60_000);

  const names = readdirSync(running.homeDir, { recursive: true, encoding: 'utf8' });
  const stored = names
    .filter((name) => /blobs|postgres|logs/.test(name))
    .map((name) => path.join(running.homeDir, name));
  assert.ok(stored.some((name) => name.endsWith('.seg')));
  for (const file of stored) {
    assert.ok(!file.includes(marker));
    const bytes = readIfFile(file);
    for (const encoding of ['latin1', 'hex', 'base64', 'utf16le'] as const) {
      const needle =
        encoding === 'hex' || encoding === 'base64'
          ? Buffer.from(marker).toString(encoding)
          : Buffer.from(marker, encoding);
      assert.ok(!bytes.includes(needle), `${file} has the marker (${encoding})`);
    }
  }

  assert.ok(existsSync(path.join(stateDir, 'keys.json')));
  await tenant.client.devices.deauthorize({ params: { deviceUid: enrollment.deviceUid } });
  const begun = performance.now();
  await until(() => !existsSync(path.join(stateDir, 'keys.json')), 'the end of the keys', 60_000);
  await agent.ended;
  t.diagnostic(`its keys were gone ${Math.round(performance.now() - begun)} ms after it was deauthorised`);
  const left = readdirSync(stateDir).filter((name) => /keys|enrollment|\.db/.test(name));
  assert.deepEqual(left, ['key-log.db'], 'no key, and it may be what proves that the server lied');
});

function readIfFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
}
