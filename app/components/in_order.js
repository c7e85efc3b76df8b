// What every component's code begins with. Streamlit may call it for older data after newer ones.

export default function (component) {
  const { parentElement: place, data } = component;
  if (place._number > data.number) return undefined;
  place._number = data.number;
  return render(component);
}

