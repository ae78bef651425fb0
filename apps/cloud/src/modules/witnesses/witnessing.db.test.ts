import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { systemClock, type Clock } from '@holdfast/base';
import { leafHash, openCosignatures } from '@holdfast/trust';
import { TestWitness, type WitnessReply } from '@holdfast/trust/testing';
import { afterwards } from '@holdfast/testing';
import { silentLog, type Log } from '../../platform/log.ts';
import { localCertificates } from '../../platform/tls.ts';
import { makeWorld, startTestCloud, startTestCluster, type TestCloud, type TenantWorld } from '../../testing.ts';
import { append } from '../../testing/key-log-leaves.ts';
import { writeAudit } from '../audit/index.ts';
import { findLogVerifier, originOf, signHeads } from '../logs/index.ts';
import { listCosignedHeads } from './cosigned-heads.ts';
import { Witnessing } from './keep-witnessing.ts';
import { createWitnessEgress, parseWitnesses, type Witness } from './witness.ts';

const cluster = await startTestCluster();
after(() => cluster.stop());
const tlsDir = mkdtempSync(path.join(tmpdir(), 'holdfast witness '));
const certificates = await localCertificates({ tlsDir, hosts: ['127.0.0.1'], clock: systemClock });
const ca = readFileSync(certificates.caFile!, 'utf8');
after(() => rmSync(tlsDir, { recursive: true, force: true }));

type Said = { readonly level: string; readonly message: string; readonly code: string | undefined };

/** A server with one tenant, a witness by TLS that trusts its key log, and a clock. */
async function start(t: TestContext, slug: string) {
  const cloud = await startTestCloud(cluster);
  afterwards(t, () => cloud.stop());
  const world = await makeWorld(cloud, slug);
  const { tenantUid: tenantId } = world.tenant;
  const server = await TestWitness.start({ name: `${slug}.example/w`, tls: await certificates.current() });
  afterwards(t, () => server.stop());
  const scene = new Scene({
    cloud,
    world,
    server,
    origin: originOf(cloud.api.installationId, { tenantId, log: 'key' }),
  });
  await scene.introduce(world);
  return scene;
}

class Scene {
  readonly cloud: TestCloud;
  readonly world: TenantWorld;
  readonly server: TestWitness;
  readonly origin: string;
  readonly witness: Witness;
  readonly said: Said[] = [];
  nowMs = systemClock.now();
  readonly #stopping = new AbortController();
  readonly #witnessing: Witnessing;

  constructor({ cloud, world, server, origin }: Pick<Scene, 'cloud' | 'world' | 'server' | 'origin'>) {
    [this.cloud, this.world, this.server, this.origin] = [cloud, world, server, origin];
    this.witness = parseWitnesses(`${server.url} ${server.key}`)![0]!;
    this.#witnessing = this.newNode();
  }

  get tenantId(): string {
    return this.world.tenant.tenantUid;
  }

  /** Tells the witness of the key log of a tenant; says its name. */
  async introduce({ tenant: { tenantUid: tenantId } }: TenantWorld): Promise<string> {
    const { database, api } = this.cloud;
    const origin = originOf(api.installationId, { tenantId, log: 'key' });
    this.server.trust(origin, await database.withTenant(tenantId, (tx) => findLogVerifier(tx, tenantId)));
    return origin;
  }

  /** Another process of the same server. */
  newNode(): Witnessing {
    const { database } = this.cloud;
    const clock: Clock = { ...systemClock, now: () => this.nowMs };
    const say = (level: string) => (facts: object, message: string) => {
      const { err } = facts as { readonly err?: { readonly code?: string } };
      this.said.push({ level, message, code: err?.code });
    };
    const log: Log = { ...silentLog, info: say('info'), warn: say('warn'), error: say('error') };
    const deps = { database, clock, writeAudit, log, ca, egress: createWitnessEgress(), witnesses: [this.witness] };
    return new Witnessing(deps, this.witness, this.#stopping.signal);
  }

  /** Lets the log grow by a leaf, signs its head, and says its size. */
  async grow(): Promise<number> {
    await append(this.world, {
      kind: 'key_ended',
      deviceUid: this.tenantId,
      publicKey: 'A'.repeat(43),
      archiveId: null,
    });
    return this.sign();
  }

  async sign(): Promise<number> {
    const { cloud } = this;
    const { installationId } = cloud.api;
    await signHeads({
      database: cloud.database,
      kms: cloud.kms.forRole('api'),
      clock: systemClock,
      installationId,
      log: silentLog,
    });
    const { treeSize } = await cloud.clientOf(this.world.tenant).keyLog.head();
    return treeSize;
  }

  async look(witnessing = this.#witnessing): Promise<void> {
    await witnessing.look();
  }

  /** The sizes that were asked about, from where to where. */
  asked(): readonly string[] {
    return this.server.asked.splice(0).flatMap((body) => {
      const [first, ...rest] = body.split('\n');
      const [origin, size] = rest.slice(rest.indexOf('') + 1);
      return origin === this.origin ? [`${first!.slice(4)}-${size}`] : [];
    });
  }

  /** What was said since it was asked last: levels and codes. */
  heard(): readonly string[] {
    return this.said.splice(0).map(({ level, code, message }) => `${level} ${code ?? message}`);
  }

  /** What is shown of the head, and checked. */
  async cosigned(): Promise<readonly { readonly treeSize: number; readonly at: Date }[]> {
    const heads = await this.cloud.database.withTenant(this.tenantId, (tx) =>
      listCosignedHeads(tx, this.tenantId, [this.witness.keyText]),
    );
    return heads.flatMap(({ treeSize, note }) =>
      openCosignatures(note, [this.witness.key]).map(({ cosignedAt }) => ({ treeSize, at: cosignedAt })),
    );
  }

  async cosignedSizes(): Promise<readonly number[]> {
    return (await this.cosigned()).map(({ treeSize }) => treeSize);
  }

  /** What the audit log has of contradictions. */
  async audited(): Promise<readonly unknown[]> {
    const { entries } = await this.cloud.clientOf(this.world.tenant).audit.entries({ query: { limit: '1000' } });
    return entries
      .map(({ entry }) => JSON.parse(entry) as { eventType: string; facts: { fault: string; witnessSize: number } })
      .filter(({ eventType }) => eventType === 'key_log.witness_contradicted')
      .map(({ facts: { fault, witnessSize } }) => [fault, witnessSize]);
  }

  run(statement: string): Promise<unknown> {
    return cluster.asSuperuser(this.cloud.testDatabase.target.database, statement);
  }
}

const MINUTE = 60_000;

test('every signed head of a key log is cosigned once, with a proof from the one before, and shown with its line', async (t) => {
  const scene = await start(t, 'genuine');
  const first = await scene.grow();
  await scene.look();
  assert.deepEqual(scene.asked(), [`0-${first}`]);
  await scene.look();
  assert.deepEqual(scene.asked(), [], 'nothing is new');
  await scene.grow();
  const third = await scene.grow();
  await scene.look();
  assert.deepEqual([scene.asked(), await scene.cosignedSizes()], [[`${first}-${third}`], [third]]);
  assert.ok(Math.abs((await scene.cosigned())[0]!.at.getTime() - Date.now()) < MINUTE);
  assert.deepEqual([scene.heard(), await scene.audited(), scene.cloud.faults], [[], [], []]);
});

test('two nodes that submit at once do no harm, nor does one that forgot what was cosigned', async (t) => {
  const scene = await start(t, 'two-nodes');
  const other = scene.newNode();
  for (let round = 0; round < 4; round++) {
    await scene.grow();
    await Promise.all([scene.look(), scene.look(other)]);
  }
  const size = await scene.sign();
  assert.deepEqual([await scene.cosignedSizes(), scene.server.sizeOf(scene.origin)], [[size], size]);
  await scene.run(`delete from log_cosignatures where tenant_id = '${scene.tenantId}'`);
  scene.asked();
  await scene.look();
  assert.deepEqual(scene.asked(), [`0-${size}`, `${size}-${size}`], 'the witness says what it has');
  assert.deepEqual([await scene.cosignedSizes(), scene.heard(), await scene.audited()], [[size], [], []]);
});

const garbage: Readonly<Record<string, WitnessReply>> = {
  'nothing with 200': { status: 200, body: '' },
  'a page': { status: 200, body: '<html>\n' },
  'more than is read': { status: 200, body: 'x'.repeat(70_000) },
  'a conflict without a size': { status: 409, body: 'no\n' },
  'a size of another type': { status: 409, body: '3\n', headers: { 'content-type': 'text/plain' } },
  'a size beyond numbers': {
    status: 409,
    body: '99999999999999999\n',
    headers: { 'content-type': 'text/x.tlog.size' },
  },
  'another place': { status: 302, body: '', headers: { location: 'http://169.254.169.254/' } },
  'that it was badly asked': { status: 400, body: '' },
};

test('a witness that answers rubbish is not believed, is left alone for longer and longer, and is said to once', async (t) => {
  const scene = await start(t, 'rubbish');
  const stranger = await TestWitness.start({ name: scene.server.cosigner.key.name });
  await stranger.stop();
  const size = await scene.grow();
  const strange = { status: 200, body: stranger.cosigner.line(`x\n\n\u2014 x AAAAAAA=\n`, new Date()) };
  for (const [what, reply] of Object.entries({ ...garbage, 'a line of a strange key': strange })) {
    scene.server.lie = () => reply;
    await scene.look();
    assert.deepEqual(await scene.cosignedSizes(), [], what);
    scene.nowMs += 120 * MINUTE;
  }
  assert.deepEqual(scene.heard(), ['warn witness.garbled'], 'once for all');
  scene.asked();
  await scene.look();
  for (let minute = 0; minute < 60; minute++, scene.nowMs += MINUTE) await scene.look();
  assert.ok(scene.asked().length <= 3, 'within an hour of an hour of rubbish');
  scene.server.lie = () => undefined;
  scene.nowMs += 120 * MINUTE;
  await scene.look();
  assert.deepEqual(await scene.cosignedSizes(), [size]);
  assert.deepEqual(scene.heard(), ['info a witness cosigns the key log of a tenant again']);
  assert.deepEqual(await scene.audited(), []);
});

test('a witness that is away is said to be once, costs ever less, and is caught up with when it is back', async (t) => {
  const scene = await start(t, 'away');
  const size = await scene.grow();
  const { port } = scene.server;
  await scene.server.stop();
  for (let minute = 0; minute < 30; minute++, scene.nowMs += MINUTE) await scene.look();
  const said = scene.heard();
  assert.deepEqual(said, ['warn witness.away', 'warn witness.away'], 'for the log, then for all of them');
  await scene.server.listen(port);
  scene.nowMs += 120 * MINUTE;
  await scene.look();
  assert.deepEqual(await scene.cosignedSizes(), [size]);
  assert.deepEqual(scene.heard(), [
    'info a witness answers again',
    'info a witness cosigns the key log of a tenant again',
  ]);
});

test('a witness that is not told of a log, or of its key, is said to, and cosigns once it is', async (t) => {
  const scene = await start(t, 'unknown');
  const size = await scene.grow();
  for (const [status, code] of [
    [404, 'witness.unknown_log'],
    [403, 'witness.refused'],
  ] as const) {
    scene.server.lie = () => ({ status, body: '' });
    await scene.look();
    await scene.look();
    scene.nowMs += 120 * MINUTE;
    assert.deepEqual(scene.heard(), [`warn ${code}`]);
  }
  scene.server.lie = () => undefined;
  await scene.look();
  assert.deepEqual(await scene.cosignedSizes(), [size]);
});

test('a log that was set back is said to be, in the log and the audit log, for good and once', async (t) => {
  const scene = await start(t, 'set-back');
  const size = await scene.grow();
  scene.server.remember(scene.origin, { treeSize: size + 5, root: leafHash(Buffer.from('of the log before')) });
  await scene.look();
  assert.deepEqual(scene.heard(), ['error witness.set_back']);
  scene.nowMs += 120 * MINUTE;
  await scene.look();
  await scene.look(scene.newNode());
  assert.deepEqual(scene.heard(), ['error witness.set_back'], 'of the new node');
  assert.deepEqual([await scene.audited(), await scene.cosignedSizes()], [[['set_back', size + 5]], []]);
});

test('a log that is another one than the witness saw is said to be, shorter, equal or longer', async (t) => {
  const lies = { longer: (size: number) => size - 1, equal: (size: number) => size };
  for (const [what, sizeOf] of Object.entries(lies)) {
    const scene = await start(t, `forked-${what}`);
    await scene.grow();
    const size = await scene.grow();
    const treeSize = sizeOf(size);
    scene.server.remember(scene.origin, { treeSize, root: leafHash(Buffer.from('another')) });
    await scene.look();
    assert.deepEqual([scene.heard(), await scene.audited()], [['error witness.forked'], [['forked', treeSize]]], what);
    assert.deepEqual(await scene.cosignedSizes(), [], what);
  }
});

test('a head that another node signed and submitted meanwhile is no log that was set back', async (t) => {
  const scene = await start(t, 'overtaken');
  const [size, other] = [await scene.grow(), scene.newNode()];
  let longer: number | undefined;
  scene.server.lie = async () => {
    if (longer !== undefined) return undefined;
    longer = size + 1;
    assert.equal(await scene.grow(), longer);
    await scene.look(other);
    return undefined;
  };
  await scene.look();
  assert.deepEqual(scene.asked(), [`0-${size}`, `0-${longer}`, `${longer}-${longer}`]);
  assert.deepEqual([await scene.cosignedSizes(), scene.heard(), await scene.audited()], [[longer], [], []]);
});

test('one slow tenant, or one that is refused, keeps no other from its witness', async (t) => {
  const scene = await start(t, 'crowd');
  const slugs = ['crowd-a', 'crowd-b', 'crowd-c', 'crowd-d'];
  const others = await Promise.all(slugs.map((slug) => makeWorld(scene.cloud, slug)));
  const origins = await Promise.all(others.map((world) => scene.introduce(world)));
  await scene.sign();
  const [silent = '', refused = ''] = origins;
  scene.server.lie = (body) => {
    if (body.includes(silent)) return { status: 503, body: '' };
    return body.includes(refused) ? { status: 403, body: '' } : undefined;
  };
  await scene.look();
  const cosigned = origins.map((origin) => scene.server.sizeOf(origin) > 0);
  assert.deepEqual(cosigned, [false, false, true, true]);
  assert.deepEqual(scene.heard().toSorted(), ['warn witness.away', 'warn witness.refused']);
});
