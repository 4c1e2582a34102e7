/** Copy a text; false where this browser does not let us. */
export async function copy(text: string): Promise<boolean> {
  // Only pages of this machine, or with TLS, have a clipboard.
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand('copy');
  area.remove();
  return isCopied;
}
