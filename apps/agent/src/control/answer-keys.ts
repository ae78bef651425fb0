import type { AgentParts } from '../agent.ts';
import { sendKeyRecords } from '../destinations/catch-up.ts';
import { withRecoveryCode } from '../keys/archive-keyring.ts';
import { exportKey } from '../keys/export-key.ts';

/** `key.show-recovery`: a new code. Nothing changes before `key.confirm-recovery` has it back. */
export function answerKeyShow({ recoveryCode }: AgentParts): object {
  return { code: recoveryCode.show() };
}

/** `key.confirm-recovery`: the code that was shown becomes the only one; it is not kept here. */
export async function answerKeyConfirm(parts: AgentParts, { code }: { code: string }): Promise<object> {
  const { recoveryCode, protector, archive, destinations, clock, random } = parts;
  const secret = recoveryCode.confirm(code);
  const held = await protector.exclusive(
    async () => {
      await destinations.connect();
      const ordinalSequence = archive.index.lease('ordinals', 1);
      const ordinal = archive.ordinalOf(ordinalSequence);
      archive.save(withRecoveryCode(archive.stored, secret, { clock, random, ordinal }));
      const sessions = destinations.sessions();
      for (const session of sessions) {
        await sendKeyRecords(session, archive.stored.keyRecords).catch((error: unknown) =>
          destinations.lose(session, error),
        );
      }
      return destinations.sessions().length;
    },
    { isWholeNeeded: false },
  );
  return { keyring: archive.stored.keys.keyring.number, destinations: held };
}

/** `key.export`: the text of the key file. */
export function answerKeyExport({ archive }: AgentParts): object {
  return { keyFile: exportKey(archive.stored.keys) };
}
