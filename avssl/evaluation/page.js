// A click plays a clip with its sound, one at a time; a line runs over the spectrogram.
const clips = [...document.querySelectorAll(".clip")];
for (const clip of clips) {
  const video = clip.querySelector("video");
  const line = clip.querySelector("i");
  const follow = () => {
    line.style.left = `${(100 * video.currentTime) / video.duration}%`;
    if (!video.paused) requestAnimationFrame(follow);
  };
  video.addEventListener("play", () => {
    for (const other of clips) if (other !== clip) other.querySelector("video").pause();
    clip.classList.add("playing");
    follow();
  });
  video.addEventListener("pause", () => clip.classList.remove("playing"));
  clip.addEventListener("click", () => (video.paused ? video.play() : video.pause()));
}
