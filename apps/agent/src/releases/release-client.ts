import { CodedError, parseUuid, systemClock, systemRandom, type Clock, type Random } from '@holdfast/base';
import { releaseRoutes, type ReleaseState, type Route, type RulesChangeState } from '@holdfast/contract';
import type { call } from '@holdfast/sdk';
import {
  formatRulesChange,
  importHpkeKey,
  keyLogOrigin,
  openCheckpoint,
  openRelease,
  parseVerifierKey,
  releaseRequestSha256,
  signKeyVouch,
  signReleaseApproval,
  signReleaseCall,
  signReleaseRequest,
  verifyInclusion,
  type KeyHolder,
  type OpenedRelease,
  type ReleaseCallName,
  type ReleaseRequest,
  type ReleaseRules,
  type Sign,
} from '@holdfast/trust';
import { releaseClientErrors } from './errors.ts';
import type { KeptRequest, KeptRequests } from './kept-requests.ts';
import { expectHash, shownChange, shownRelease } from './shown-documents.ts';

type Call = <R extends Route>(
  route: R,
  input: Parameters<typeof call<R>>[2],
) => Promise<Awaited<ReturnType<typeof call<R>>>>;

/** Somebody with a registered key: a person with its key file, or a device with its enrolment. */
export type ReleaseIdentity = {
  readonly installationId: string;
  readonly tenantUid: string;
  /** Ed25519, 32 bytes, base64url. */
  readonly publicKey: string;
  readonly sign: Sign;
  /** Verifier of the tenant's log, as it was pinned. */
  readonly logKey: string;
};

/** What asking for releases needs. */
export type ReleaseClientOptions = {
  readonly identity: ReleaseIdentity;
  readonly call: Call;
  /** Where requests are kept with what opens their releases. */
  readonly requests: KeptRequests;
  readonly clock?: Clock;
  readonly random?: Random;
};

/** What is asked for. */
export type WantedRelease = {
  /** The archive's id, or the id or the name of its computer; a device asks about its own where it is left out. */
  readonly archive?: string | undefined;
  readonly scope: ReleaseRequest['scope'];
  readonly epochs: ReleaseRequest['epochs'];
  readonly reason: string;
  readonly caseId: string | null;
  readonly days: number;
};

const DAY_MS = 86_400_000;

/** Asks for the keys of archives, approves and takes them: signed here, so that no token of any session is needed. */
export class ReleaseClient {
  readonly #options: Required<ReleaseClientOptions>;
  /** The server's time less this computer's, where a call was too early or too late. */
  #aheadMs = 0;

  constructor(options: ReleaseClientOptions) {
    this.#options = { clock: systemClock, random: systemRandom, ...options };
  }

  /** What a request for an archive has to name. @throws releases.* */
  describe(archive?: string) {
    return this.#call(releaseRoutes.archive, 'archive', archive ?? null);
  }

  /**
   * Asks for keys. The request is kept with its recipient key before it is sent: without it what comes opens to nobody.
   *
   * @throws releases.*, key_release.not_written
   */
  async request(wanted: WantedRelease): Promise<ReleaseState> {
    const { identity, random, requests, call: send } = this.#options;
    const found = await this.describe(wanted.archive);
    const recipientSeed = random(32);
    const { installationId, tenantUid, publicKey } = identity;
    const request = signReleaseRequest(
      {
        version: 1,
        installationId,
        tenantUid,
        archiveId: found.archiveId,
        keyringSha256: found.keyringSha256,
        slotId: found.slotId,
        scope: wanted.scope,
        epochs: wanted.epochs,
        caseId: wanted.caseId,
        reason: wanted.reason,
        requesterKey: publicKey,
        recipientKey: base64Url(importHpkeKey(recipientSeed).publicKey),
        expiresAt: new Date(this.#nowMs() + wanted.days * DAY_MS).toISOString(),
        requestId: base64Url(random(16)),
      },
      identity.sign,
    );
    requests.add({ request, recipientSeed });
    recipientSeed.fill(0);
    return shownRelease(identity, await send(releaseRoutes.request, { body: { request } }));
  }

  /**
   * The releases that the caller may see, the newest first; the one alone that is named by its hash or its beginning.
   *
   * @throws releases.*, key_release.other_document where one is shown for another
   */
  async list(beginning?: string): Promise<readonly ReleaseState[]> {
    const shown = (await this.#call(releaseRoutes.list, 'list', null)).releases;
    const releases = shown.map((one) => shownRelease(this.#options.identity, one));
    return beginning === undefined ? releases : releases.filter((one) => one.requestSha256.startsWith(beginning));
  }

  /**
   * Approves the release of this hash, which is that of the text that was read: the server cannot put another in its place.
   *
   * @throws releases.*, key_release.other_document
   */
  async approve({ request, requestSha256 }: Pick<ReleaseState, 'request' | 'requestSha256'>): Promise<ReleaseState> {
    const { identity, call: send } = this.#options;
    expectHash(requestSha256, request);
    const body = { tenantUid: identity.tenantUid, approval: this.#approvalOf(request) };
    const approved = shownRelease(identity, await send(releaseRoutes.approve, { body }));
    expectHash(approved.requestSha256, request);
    return approved;
  }

  /** Refuses a release for good. @throws releases.* */
  async refuse(requestSha256: string): Promise<ReleaseState> {
    return shownRelease(this.#options.identity, await this.#call(releaseRoutes.refuse, 'refuse', requestSha256));
  }

  /** Forgets a request made here, once what was released to it is where it is used: it cannot be taken again. */
  forget(requestSha256: string): void {
    this.#options.requests.forget(requestSha256);
  }

  /**
   * Takes what was released to a request made here. It is believed only with its leaf: of the same request, in the log that
   * the pinned key signs. Whoever calls wipes it.
   *
   * @throws releases.waiting, releases.refused, key_release.not_asked_here, key_release.not_logged, release.*
   */
  async take(requestSha256: string): Promise<OpenedRelease> {
    const kept = this.#options.requests.find(requestSha256);
    if (!kept) throw releaseClientErrors.not_asked_here({ request: requestSha256 });
    const { leaf, head, sealed } = await this.#call(releaseRoutes.take, 'take', requestSha256);
    const opened = this.#open(kept, { leafText: leaf.text, sealed });
    try {
      this.#expectLogged(opened, { ...leaf, head });
      return opened;
    } catch (error) {
      opened.wipe();
      throw error;
    }
  }

  /**
   * Takes the whole ring that was released for a computer that replaces another: its raw bytes, as in a keyring (format
   * document, section 5), and its archive. Whoever calls wipes it.
   *
   * @throws what `take` does, and key_release.not_a_ring
   */
  async takeRing(requestSha256: string): Promise<{ archiveId: Uint8Array; ring: Uint8Array; wipe: () => void }> {
    const { keys, leaf, wipe } = await this.take(requestSha256);
    if (keys.scope === 'ring') return { archiveId: parseUuid(leaf.archiveId)!, ring: keys.ring, wipe };
    wipe();
    throw releaseClientErrors.not_a_ring({ request: requestSha256 });
  }

  /** The rules in force, those that come, and the changes. @throws releases.*, key_release.other_document */
  async rules() {
    const found = await this.#call(releaseRoutes.rules, 'rules', null);
    return { ...found, changes: found.changes.map((one) => shownChange(this.#options.identity, one)) };
  }

  /** Proposes a change of the rules, the next one, by approving it. @throws releases.*, release.malformed_rules */
  async proposeRules(rules: ReleaseRules): Promise<RulesChangeState> {
    const { installationId, tenantUid } = this.#options.identity;
    const { changes } = await this.rules();
    const number = 1 + Math.max(0, ...changes.filter(({ state }) => state === 'logged').map((one) => one.number));
    return this.approveRules(formatRulesChange({ version: 1, installationId, tenantUid, number, rules }));
  }

  /** Approves a change of the rules as it was read. @throws releases.*, key_release.other_document */
  async approveRules(change: string): Promise<RulesChangeState> {
    const { identity, call: send } = this.#options;
    const body = { change, approval: this.#approvalOf(change) };
    const approved = shownChange(identity, await send(releaseRoutes.changeRules, { body }));
    expectHash(approved.changeSha256, change);
    return approved;
  }

  /** Vouches for a newer key, so that it need not wait for a day before it asks. @throws releases.* */
  vouch(holder: KeyHolder, publicKey: string): Promise<{ logIndex: number }> {
    const { identity, call: send } = this.#options;
    const { tenantUid, publicKey: byKey, sign } = identity;
    const signature = signKeyVouch({ tenantUid, holder, publicKey }, sign);
    return send(releaseRoutes.vouch, { body: { tenantUid, holder, publicKey, byKey, signature } });
  }

  #open({ request, recipientSeed }: KeptRequest, shown: { readonly leafText: string; readonly sealed: string }) {
    try {
      const sealed = new Uint8Array(Buffer.from(shown.sealed, 'base64url'));
      const received = { requestText: request.text, leafText: shown.leafText, sealed };
      return openRelease(received, importHpkeKey(recipientSeed));
    } finally {
      recipientSeed.fill(0);
    }
  }

  #expectLogged(
    { leafHash }: OpenedRelease,
    shown: { readonly logIndex: number; readonly inclusion: readonly string[]; readonly head: string },
  ): void {
    const { installationId, tenantUid, logKey } = this.#options.identity;
    const head = openHead(shown.head, keyLogOrigin(installationId, tenantUid), logKey);
    const proof = shown.inclusion.map((hash) => new Uint8Array(Buffer.from(hash, 'base64url')));
    const claim = { leafHash, leafIndex: shown.logIndex, treeSize: head.treeSize, root: head.root };
    if (!verifyInclusion(claim, proof)) throw releaseClientErrors.not_logged({ logIndex: shown.logIndex });
  }

  #approvalOf(text: string) {
    const { publicKey: approverKey, sign } = this.#options.identity;
    const at = new Date(this.#nowMs()).toISOString();
    return signReleaseApproval({ version: 1, requestSha256: releaseRequestSha256(text), approverKey, at }, sign);
  }

  /** Signs a call; once more with the server's time, where this computer's clock is wrong. */
  async #call<R extends Route>(route: R, name: ReleaseCallName, about: string | null) {
    const { identity, random, call: send } = this.#options;
    const { installationId, tenantUid, publicKey: callerKey, sign } = identity;
    for (let tries = 1; ; tries++) {
      const at = new Date(this.#nowMs()).toISOString();
      const nonce = base64Url(random(16));
      const text = { version: 1, installationId, tenantUid, call: name, about, callerKey, at, nonce } as const;
      try {
        return await send(route, { body: { call: signReleaseCall(text, sign) } } as never);
      } catch (error) {
        if (tries > 1 || !(error instanceof CodedError) || error.code !== 'releases.stale_call') throw error;
        const serverMs = Date.parse(String(error.details['serverTime']));
        if (!Number.isFinite(serverMs)) throw error;
        this.#aheadMs = serverMs - this.#options.clock.now();
      }
    }
  }

  #nowMs(): number {
    return this.#options.clock.now() + this.#aheadMs;
  }
}

function openHead(note: string, origin: string, logKey: string) {
  try {
    return openCheckpoint(note, origin, [parseVerifierKey(logKey)]);
  } catch (error) {
    throw releaseClientErrors.other_log({}, error);
  }
}

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
