import type { AgentParts } from '../agent.ts';
import { withRecoveryCode } from '../keys/archive-keyring.ts';
import { changeKeys } from '../keys/change-keys.ts';
import { exportKey } from '../keys/export-key.ts';

/** `key.show-recovery`: a new code. Nothing changes before `key.confirm-recovery` has it back. */
export function answerKeyShow({ recoveryCode }: AgentParts): object {
  return { code: recoveryCode.show() };
}

/** `key.confirm-recovery`: the code that was shown becomes the only one; it is not kept here. */
export async function answerKeyConfirm(parts: AgentParts, { code }: { code: string }): Promise<object> {
  const secret = parts.recoveryCode.confirm(code);
  const { keyring, destinations } = await changeKeys(parts, (stored, ports) => withRecoveryCode(stored, secret, ports));
  return { keyring, destinations };
}

/** `key.export`: the text of the key file. */
export function answerKeyExport({ archive }: AgentParts): object {
  return { keyFile: exportKey(archive.stored.keys) };
}
