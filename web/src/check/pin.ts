// The rules for a PIN.

export const pinDigits = 8;

/** weakness says what is wrong with a PIN; null when nothing is. */
export function weakness(pin: string): "short" | "easy" | null {
  if (!/^[0-9]*$/.test(pin) || pin.length < pinDigits) return "short";
  const steps = new Set([...pin].slice(1).map((d, i) => (Number(d) - Number(pin[i]) + 10) % 10));
  const alike = steps.size === 1 && [0, 1, 9].includes([...steps][0] ?? -1);
  return alike || new Set(pin).size < 3 ? "easy" : null;
}
