/** The small reader opens a wrap without looking at the commitment of its slot. */
export const mutant = {
  file: 'packages/recover/src/format/ring.ts',
  find: 'archiveId, slot.slotId).equals(slot.commitment)) return undefined;',
  replace: 'archiveId, slot.slotId).equals(slot.commitment) && slot.kind < 3) return undefined;',
  test: 'packages/recover/src/slots.system.test.ts',
};
