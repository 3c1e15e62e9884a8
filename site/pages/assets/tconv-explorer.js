// <tconv-explorer show="lesson=4" height="820">: lesson and explorer in a frame of their own. `show` is what stands behind
// the # of the page's address, `src` is where the page lies, one folder above this script unless it says otherwise.
{
  const beside = new URL("../page.html", document.currentScript.src);
  customElements.define("tconv-explorer", class extends HTMLElement {
    static observedAttributes = ["show", "src", "height"];

    connectedCallback() {
      this.frame = document.createElement("iframe");
      this.frame.title = "Transposed convolution explorer";
      this.frame.style.cssText = "width:100%;border:0";
      this.attributeChangedCallback();
      this.replaceChildren(this.frame);
    }

    attributeChangedCallback() {
      if (!this.frame) return;
      this.frame.style.height = `${Number(this.getAttribute("height")) || 820}px`;
      this.frame.src = `${this.getAttribute("src") ?? beside.href}#${this.getAttribute("show") ?? ""}`;
    }
  });
}
